"""Google's files: a service account is understood; what is mistaken for one is named."""

import base64
import json
from datetime import UTC, datetime

import pytest

from app.credentials.files.refusals import Refused
from app.credentials.parse import Upload, examine
from app.fcm.account import ServiceAccount
from devkit.simulator.google.accounts import Accounts

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


def test_it_serves_one_app_that_must_be_named() -> None:
    with pytest.raises(Refused) as caught:
        look(json.dumps(GOOD).encode(), app_id=None)
    assert caught.value.code == "app_id_missing"
