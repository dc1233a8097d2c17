"""`ringline app-check`, as a person and as a build calls it: without any server."""

import json
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.appcheck.made import BUNDLE, Axml, ipa, manifest
from tests.cli.test_messages import run, settings

PKCS8 = (
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
)


def test_it_says_what_is_missing_how_to_mend_it_and_in_its_status(tmp_path: Path) -> None:
    good = str(ipa(tmp_path / "good.ipa"))
    bad = str(ipa(tmp_path / "bad.ipa", info={"UIBackgroundModes": None}))
    source, key, nonsense = (tmp_path / name for name in ("AndroidManifest.xml", "k.p8", "x.ipa"))
    source.write_bytes(Axml(manifest()).data)
    key.write_bytes(ec.generate_private_key(ec.SECP256R1()).private_bytes(*PKCS8))
    nonsense.write_text("no app at all")
    whole, lacking, data, android, refused, wrong_key = run(
        [
            ["app-check", good, "--app-id", BUNDLE, "--credential", str(key)],
            ["app-check", bad],
            ["app-check", bad, "--json"],
            ["app-check", str(source)],
            ["app-check", str(nonsense), "--json"],
            ["app-check", good, "--credential", str(nonsense)],
        ],
        settings(),
    )
    assert whole[1] == 0, whole
    assert "Nothing is missing." in whole[2]
    assert "the key serves production" in whole[2]
    assert lacking[1] == 1
    assert "Background Modes, Voice over IP" in lacking[2]
    assert "1 missing: it will not ring." in lacking[2]
    read = json.loads(data[2])
    assert (data[1], read["kind"], read["rings"]) == (1, "ios", False)
    assert {one["code"] for one in read["findings"] if one["level"] == "missing"} == {
        "background_mode_voip"
    }
    assert android[1] == 0, android
    assert (refused[1], refused[2]) == (1, "")
    assert json.loads(refused[3])["error"]["code"] == "unreadable_app"
    assert wrong_key[1] == 1
    assert "x.ipa" in wrong_key[3]
    assert not any(
        "Traceback" in out + err for _, _, out, err in (whole, lacking, refused, wrong_key)
    )


def test_an_app_id_that_is_none_is_refused_by_its_option(tmp_path: Path) -> None:
    good = str(ipa(tmp_path / "good.ipa"))
    odd = ("com..x", ".com.x", "com.x.")
    for _, status, said, error in run(
        [["app-check", good, "--app-id", one, "--json"] for one in odd], settings()
    ):
        assert (status, said) == (1, "")
        told = json.loads(error)["error"]
        assert told["code"] == "app_id_malformed"
        assert told["detail"].startswith("--app-id: ")
