"""What several processes ask for at once is made by one of them, whole or not at all."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.once import once

ASK = """
import sys, time
from pathlib import Path
from tests.once import once

def make(folder):
    with Path(sys.argv[2]).open("a") as made:
        made.write("made\\n")
    time.sleep(0.3)
    (folder / "whole").touch()

print((once(Path(sys.argv[1]), make) / "whole").exists())
"""


def test_many_who_ask_at_once_have_it_made_once(tmp_path: Path) -> None:
    words = [sys.executable, "-c", ASK, str(tmp_path / "a" / "dear"), str(tmp_path / "told")]
    asking = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [one.communicate(timeout=60)[0] for one in asking] == ["True\n"] * 3
    assert (tmp_path / "told").read_text() == "made\n"


def test_where_making_fails_nothing_is_left_and_the_next_one_makes_it(tmp_path: Path) -> None:
    def fails(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError("no network")

    with pytest.raises(OSError, match="no network"):
        once(tmp_path / "dear", fails)
    assert not (tmp_path / "dear").exists()
    made = once(tmp_path / "dear", lambda folder: (folder / "whole").touch())
    assert [path.name for path in made.iterdir()] == ["whole"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dear", "dear.lock"]
