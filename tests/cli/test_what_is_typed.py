"""What people type at night: a word that is none, a file of another editor, a change of one limit."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from app.cli.faults import MISTYPED, REFUSED, fault_of
from app.cli.tenants import merged
from app.devices.schemas import LONGEST_MINTED
from app.infra.errors import Conflict
from tests.cli.test_messages import run
from tests.environment import environment_of

IDS = ["--app-id", "com.example.app", "--key-id", "ABCDE12345", "--team-id", "ABCDE12345"]


@pytest.fixture
def house(database: str, redis_url: str) -> dict[str, str]:
    return environment_of(database_url=database, redis_url=redis_url) | {"COLUMNS": "200"}


def test_a_reset_makes_nobody_more_than_was_said(house: dict[str, str]) -> None:
    made, other, same, plain = run(
        [
            ["admin", "create", "ada@example.com", "--role", "viewer", "--reset", "--json"],
            ["admin", "create", "ada@example.com", "--role", "owner", "--reset"],
            ["admin", "create", "ada@example.com", "--role", "viewer", "--reset"],
            ["admin", "create", "ada@example.com", "--reset"],
        ],
        house,
    )
    assert made[1] == same[1] == plain[1] == 0
    assert other[1] == REFUSED
    assert "ada@example.com is viewer" in other[3]


def test_a_word_that_is_none_is_not_an_empty_list(house: dict[str, str]) -> None:
    lines = [
        (["call", "list", "--tenant", "Acme", "--state", "ringng"], "'ringing'"),
        (["call", "list", "--tenant", "Acme", "--reason", "misd"], "'missed'"),
        (["call", "list", "--tenant", "Acme", "--user", "a b"], "printable ASCII"),
        (["user", "calls", "bob", "--tenant", "Acme", "--direction", "in"], "incoming"),
        (["device", "list", "a b", "--tenant", "Acme"], "printable ASCII"),
        (["credential", "test", "a b", "--tenant", "Acme"], "printable ASCII"),
        (["user", "revoke", "a b", "--tenant", "Acme"], "printable ASCII"),
        (["user", "token", "bob", "--tenant", "Acme", "--expires-in", f"{LONGEST_MINTED + 1}"], "2,592,000"),
    ]  # fmt: skip
    for (words, status, out, err), (_, said) in zip(
        run([one for one, _ in lines], house), lines, strict=True
    ):
        assert (status, out) == (MISTYPED, ""), words
        assert said in err, words


def test_a_tenant_that_is_none_is_told_the_nearest(house: dict[str, str]) -> None:
    _, near, far = run(
        [["tenant", "create", "Acme"], ["call", "list", "--tenant", "Acne"], ["call", "list", "--tenant", "zzz"]],
        house,
    )  # fmt: skip
    assert near[1] == far[1] == REFUSED
    assert "did you mean 'Acme'?" in near[3]
    assert "tenant list" in far[3]


def test_what_is_changed_of_the_settings_leaves_the_rest(house: dict[str, str]) -> None:
    def change(**values: Any) -> list[str]:
        return ["tenant", "settings", "Acme", "--json", "--set", json.dumps(values)]

    done = run(
        [
            ["tenant", "create", "Acme"],
            change(limits={"ring": 30}, user_tokens={"issuer": "https://id.example.com/"}),
            change(limits={"away": 20}, user_tokens={"longest_life": 3600}),
            change(limits={"ring": None}),
            ["tenant", "settings", "Acme", "--set", '{"limits": {"ring": 30},}'],
            ["tenant", "settings", "Acme", "--set", "[1]"],
        ],
        house,
    )
    kept = json.loads(done[2][2])
    assert kept["limits"] == {"ring": 30, "away": 20}
    assert kept["user_tokens"]["issuer"] == "https://id.example.com/"
    assert json.loads(done[3][2])["limits"] == {"away": 20}
    for words, status, _, err in done[4:]:
        assert status == REFUSED, words
        assert "--set" in err, words
        assert "Content-Type" not in err, words
        assert "body" not in err, words


def test_documents_are_changed_whole() -> None:
    have = {
        "templates": {"com.a": {"aps": {"alert": "x"}, "old": 1}, "com.b": {"c": 1}},
        "user_tokens": {"issuer": "i", "jwks": {"keys": [1], "old": 1}},
        "notifications": {"*": {"missed": {"title": "a", "body": "b"}, "ring": {"title": "c"}}},
        "call_types": {"meeting": {"ring": 30, "away": 20}},
    }
    change = {
        "templates": {"com.a": {"new": 1}},
        "user_tokens": {"jwks": {"keys": [2]}},
        "notifications": {"*": {"missed": {"title_key": "k"}}},
        "call_types": {"meeting": {"ring": 40}},
    }
    assert merged(have, change) == {
        "templates": {"com.a": {"new": 1}, "com.b": {"c": 1}},
        "user_tokens": {"issuer": "i", "jwks": {"keys": [2]}},
        "notifications": {"*": {"missed": {"title_key": "k"}, "ring": {"title": "c"}}},
        "call_types": {"meeting": {"ring": 40, "away": 20}},
    }
    assert merged(have, {"call_types": None, "templates": {"com.b": None}})["templates"].keys() == {
        "com.a"
    }


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    lock = serialization.BestAvailableEncryption("pä55".encode())
    key = ec.generate_private_key(ec.SECP256R1())
    made = tmp_path / "key.p8"
    made.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)
    )
    return made


def test_files_are_read_as_editors_write_them(
    house: dict[str, str], tmp_path: Path, key_file: Path
) -> None:
    texts = {"title": "Verpaßt", "body": "x"}
    asked, wrong = [["tenant", "create", "Acme"]], []
    for name in ("utf-8", "utf-8-sig", "utf-16", "latin-1"):
        (tmp_path / f"{name}.txt").write_bytes("pä55\r\n".encode(name))
        (tmp_path / f"{name}.json").write_bytes(json.dumps(texts, ensure_ascii=False).encode(name))
        password = ["--password-file", str(tmp_path / f"{name}.txt")]
        lines = [
            ["credential", "preview", str(key_file), "--tenant", "Acme", *IDS, *password],
            ["payload", "notification", str(tmp_path / f"{name}.json")],
        ]
        (wrong if name == "latin-1" else asked).extend(lines)
    (tmp_path / "latin-1.json").rename(template := tmp_path / "template.json")
    wrong[-1] = ["payload", "preview", "--profile", "custom", "--template", str(template)]
    wrong.append(["credential", "preview", "/dev/zero", "--tenant", "Acme"])
    for words, status, _, err in run(asked, house):
        assert status == 0, (words, err)
    for words, status, _, err in run(wrong, house):
        assert status == REFUSED, (words, err)
        assert "UTF-8" in err or "larger" in err, words


def test_a_remedy_is_said_once_and_a_missing_terminal_in_words(
    house: dict[str, str], key_file: Path
) -> None:
    shown = ["credential", "preview", str(key_file), "--tenant", "Acme", *IDS]
    _, missing, no_terminal = run(
        [["tenant", "create", "Acme"], shown, [*shown, "--password", "--json"]], house
    )
    assert missing[1] == no_terminal[1] == REFUSED
    sentences = [one.strip() for one in missing[3].split(". ")]
    assert len(sentences) == len(set(sentences))
    assert "--password-file" in json.loads(no_terminal[3].splitlines()[-1])["error"]["detail"]


def test_a_remedy_begins_a_sentence_of_its_own() -> None:
    fault = fault_of(Conflict("none_found", "none was found", remedy="Install it."))
    assert fault.sentence == "none was found. Install it."


def test_no_key_is_made_whose_request_cannot_be_written(
    house: dict[str, str], tmp_path: Path
) -> None:
    there = tmp_path / "voip.certSigningRequest"
    ask = ["credential", "request", "com.example.app", "--tenant", "Acme", "--out"]
    done = run(
        [
            ["tenant", "create", "Acme"],
            [*ask, str(tmp_path / "no-folder" / "x")],
            [*ask, str(there)],
            [*ask, str(there)],
            ["credential", "request", "https://app.example.com", "--tenant", "Acme", "--out", str(tmp_path / "web")],
            ["credential", "list", "--tenant", "Acme", "--json"],
        ],
        house,
    )  # fmt: skip
    assert [one[1] for one in done] == [0, REFUSED, 0, REFUSED, REFUSED, 0]
    assert "bundle id" in done[4][3]
    assert len(json.loads(done[5][2])) == 1
    assert "BEGIN CERTIFICATE REQUEST" in there.read_text()
    assert not (tmp_path / "web").exists()


def test_a_file_of_authorities_that_is_none_is_named_before_anything_serves(
    house: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "empty.pem").write_text("")
    for value in (str(tmp_path / "nope.pem"), str(tmp_path / "empty.pem"), str(tmp_path)):
        amiss = house | {"RINGLINE_APNS_CA_FILE": value}
        api, worker, doctor = run([["api", "--port", "0"], ["worker"], ["doctor", "--json"]], amiss)
        for _, status, _, err in (api, worker):
            assert status == REFUSED, err
            assert "RINGLINE_APNS_CA_FILE" in err
            assert value in err
        told = [one for one in json.loads(doctor[2]) if one["name"] == "RINGLINE_APNS_CA_FILE"]
        assert [value in one["found"] for one in told] == [True]
