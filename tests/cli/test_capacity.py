"""`ringline capacity`, as a person and a program ask it: without any server."""

import json
from pathlib import Path

from app.cli.capacity import MEASURED
from app.core.capacity import parts_of
from tests.benchmarks import capacity_paper as paper
from tests.cli.test_messages import run, settings


def test_it_says_what_a_load_needs_and_by_whose_figures(tmp_path: Path) -> None:
    load = ["--rings", "100", "--devices", "1000000", "--streams", "5000"]
    committed = json.loads(MEASURED.read_bytes())
    own, broken, no_json = (tmp_path / name for name in ("own.json", "broken.json", "no.json"))
    dear = committed | {"device_bytes": committed["device_bytes"] * 1_000, "machine": "a slow one"}
    own.write_text(json.dumps(dear))
    broken.write_text(json.dumps(committed | {"costs": {}}))
    no_json.write_text("nonsense")
    shown, plain, mine, bad, worse, none, taught = run(
        [
            ["capacity", *load],
            ["capacity", *load, "--json"],
            ["capacity", *load, "--json", "--measured", str(own)],
            ["capacity", *load, "--measured", str(broken), "--json"],
            ["capacity", *load, "--measured", str(no_json)],
            ["capacity", *load, "--measured", str(tmp_path / "none.json")],
            ["capacity", "--help"],
        ],
        settings(),
    )
    assert shown[1] == 0, shown
    assert "Breaks first:" in shown[2]
    assert committed["machine"].split(",")[0] in shown[2]
    said, theirs = json.loads(plain[2]), json.loads(mine[2])
    assert said["load"]["rings"] == 100
    assert said["measured"]["at"] == committed["at"]
    assert min(said["api"]["processes"], said["worker"]["processes"]) >= 2
    assert theirs["postgresql"]["disk_gib"] > said["postgresql"]["disk_gib"]
    assert theirs["measured"]["machine"] == "a slow one"
    assert (bad[1], json.loads(bad[3])["error"]["code"]) == (1, "no_parts")
    assert (worse[1], "is not JSON" in worse[3]) == (1, True)
    assert (none[1], "none.json" in none[3]) == (1, True)
    assert "--measured" in taught[2]
    assert "Traceback" not in "".join(one[2] + one[3] for one in (bad, worse, none))


def test_no_number_is_too_large_or_too_small_to_be_said() -> None:
    names = ("devices", "streams", "webhooks", "reached", "heartbeats", "days", "cores", "gib")
    most = [word for name in names for word in (f"--{name}", str(10**9))]
    asked = [
        ["--rings", str(10**9), *most],
        ["--rings", "0.01", "--busy", "0", "--reached", "0", "--answered", "0", "--streams", "0"],
        ["--rings", "1e308"],
        ["--rings", "1", "--devices", "9" * 40],
    ]
    told = run([["capacity", *words, "--json"] for words in asked], settings())
    assert [one[1] for one in told] == [0, 0, 2, 2], told
    assert "Infinity" not in told[0][2]
    assert "null" not in json.dumps(json.loads(told[0][2])["machines"])
    assert all(json.loads(one[3])["error"]["code"] == "mistyped" for one in told[2:])


def test_the_page_and_its_picture_are_those_of_the_committed_parts() -> None:
    """Else: `python -m tests.benchmarks.capacity_paper`."""
    data = json.loads(MEASURED.read_bytes())
    assert paper.PAGE.read_text() == paper.page(paper.PAGE.read_text(), data)
    assert paper.PICTURE.read_text() == paper.picture(parts_of(data))
