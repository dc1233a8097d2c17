"""Google's files: a service account is understood; what is mistaken for one is named."""

import base64
import json
import re
from datetime import UTC, datetime
from uuid import UUID

import pytest

from app.credentials.files.refusals import Refused
from app.credentials.parse import Upload, examine
from app.fcm.account import ServiceAccount
from devkit.simulator.google.accounts import Accounts
from tests.dashboard.conftest import *  # noqa: F403  (settings, runtime, site, tenant)
from tests.dashboard.conftest import Site, post, token_of

NOW = datetime(2026, 11, 26, tzinfo=UTC)
TOKEN_URL = "https://oauth2.googleapis.com/token"
GOOD = json.loads(Accounts().make("demo-project", TOKEN_URL).json)
APP = "com.example.Droid_App"


def look(data: bytes, app_id: str | None = APP):
    return examine(Upload(data=data, app_id=app_id), NOW)


def changed(**fields: object) -> bytes:
    return json.dumps({**GOOD, **fields}).encode()


def test_a_service_account_is_understood() -> None:
    found = look(json.dumps(GOOD).encode())
    assert (found.kind, found.form) == ("google_service_account", "JSON")
    assert found.app_id == "com.example.droid_app"
    assert (found.project_id, found.subject) == ("demo-project", GOOD["client_email"])
    assert found.key_id == GOOD["private_key_id"]
    assert found.environments == ("production",)
    assert found.topics == ("com.example.droid_app",)
    account = ServiceAccount.of(found.private)
    assert account.signer().key_id == GOOD["private_key_id"]
    assert "PRIVATE" not in repr(found)


@pytest.mark.parametrize(
    "wrapped",
    [
        base64.b64encode(json.dumps(GOOD).encode()),
        changed(universe_domain=None),  # older files do not say it
        json.dumps(GOOD, indent=4).replace("\\n", "\n").encode(),  # line ends that were undone
        b"\xef\xbb\xbf" + json.dumps(GOOD).encode(),
        b"ACCOUNT=" + json.dumps(GOOD).encode(),  # a line of an .env file
        json.dumps([GOOD]).encode(),
        changed(private_key=GOOD["private_key"].replace("\n", "\\n")),  # escaped once too often
    ],
)
def test_it_is_read_as_it_comes(wrapped: bytes) -> None:
    assert look(wrapped).project_id == "demo-project"


def test_an_address_of_its_own_is_told_and_not_used() -> None:
    [note] = look(changed(token_uri="https://10.0.0.7/token")).notes
    assert "token_uri" in note
    assert b"10.0.0.7" not in look(changed(token_uri="https://10.0.0.7/token")).private


USER = {"type": "authorized_user", "client_id": "x", "refresh_token": "1//x"}
CLIENT = {"installed": {"client_id": "x", "client_secret": "y"}}
SERVICES = {"project_info": {"project_number": "1"}, "client": []}
WRONG_GOOGLE_FILES = [
    (json.dumps(SERVICES).encode(), "google_services_json", "google-services.json"),
    (json.dumps(USER).encode(), "google_user_credential", "user's own login"),
    (json.dumps(CLIENT).encode(), "google_oauth_client", "OAuth client"),
    (changed(type="external_account"), "google_external_account", "external_account"),
    (b"AAAAabcdefg:APA91b" + b"x" * 134, "google_legacy_key", "legacy"),
    (b"AIza" + b"x" * 35, "google_legacy_key", "API key"),
    (changed(universe_domain="s3nsapis.fr"), "google_other_universe", "s3nsapis.fr"),
    (changed(universe_domain=["<b>"]), "google_other_universe", "another universe_domain"),
    (changed(private_key=""), "google_incomplete", "private_key"),
    (changed(client_email=None), "google_incomplete", "client_email"),
    (changed(project_id="../x"), "google_incomplete", "project_id"),
    (changed(private_key="-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"),
     "unusable_key", ""),
    (json.dumps(GOOD).encode()[:-200], "google_unreadable", "cut short"),
    (json.dumps(GOOD).replace('"', "\u201d").encode(), "google_unreadable", "was edited"),
    (GOOD["private_key"].encode(), "wrong_key_type", "whole JSON file"),
    (b'{"private_key": "x"}', "not_a_credential", "JSON document"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "code", "said"), WRONG_GOOGLE_FILES)
def test_what_is_mistaken_for_one_is_named(data: bytes, code: str, said: str) -> None:
    with pytest.raises(Refused) as caught:
        look(data)
    assert caught.value.code == code
    assert said in caught.value.detail
    assert GOOD["private_key"][60:100] not in caught.value.detail
    assert "PRIVATE KEY" not in caught.value.detail


@pytest.mark.parametrize("wanted", [["sandbox"], ["production", "sandbox"]])
def test_it_is_not_brought_for_a_sandbox_that_google_does_not_have(wanted: list[str]) -> None:
    file = Upload(data=json.dumps(GOOD).encode(), app_id=APP, environments=wanted)
    with pytest.raises(Refused) as caught:
        examine(file, NOW)
    [fault] = caught.value.more["errors"]
    assert (fault["field"], fault["code"]) == ("environments", "environments_not_googles")
    assert "Leave `environments` away" in fault["detail"]
    for good in (None, [], ["production"]):
        file = Upload(data=json.dumps(GOOD).encode(), app_id=APP, environments=good)
        assert examine(file, NOW).environments == ("production",)


async def test_the_page_offers_to_look_again_without(site: Site, tenant: UUID) -> None:
    owner = await site.admin()
    at = f"/dashboard/t/{tenant}/credentials"
    data = {"csrf": token_of(owner), "app_id": APP, "sandbox": "yes"}
    file = {"file": ("account.json", json.dumps(GOOD).encode())}
    refused = await owner.post(f"{at}/preview", data=data, files=file)
    assert refused.status_code == 422
    assert "Google has one service" in refused.text
    assert "Look again, without sandbox" in refused.text
    held = re.search(r'name="held" value="([^"]+)"', refused.text)
    assert held
    assert 'name="sandbox"' not in refused.text
    app = re.search(r'type="hidden" name="app_id" value="([^"]+)"', refused.text)
    assert app
    again = await post(owner, f"{at}/preview", held=held[1], app_id=app[1])
    assert again.status_code == 200
    assert "Google service" in again.text


def test_it_serves_one_app_that_must_be_named() -> None:
    with pytest.raises(Refused) as caught:
        look(json.dumps(GOOD).encode(), app_id=None)
    assert caught.value.code == "app_id_missing"
