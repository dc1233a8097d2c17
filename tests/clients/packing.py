"""Makes the packages of both clients, as one publishes them: `python -m tests.clients.packing FOLDER`.

The browser's part goes into the lab, too, whose web phone is made of it.
"""

import re
import shutil
import sys
from pathlib import Path

from tests.archives import unpack
from tests.contract.node import PYTHON, packages, run

CLIENTS = Path(__file__).resolve().parents[2] / "clients"
LAB = CLIENTS.parent / "devkit" / "lab" / "static" / "client"
"""Where the lab keeps the browser's part, compiled: who runs the demo has no compiler."""


def pack_python(folder: Path) -> None:
    """A wheel and a source archive."""
    run(folder, PYTHON, "-m", "build", "--no-isolation", "--outdir", ".", str(CLIENTS / "python"))


def pack_typescript(folder: Path) -> Path:
    """An npm package; built in a copy, so that nothing is left among the sources."""
    source = folder / "typescript"
    shutil.copytree(CLIENTS / "typescript", source, ignore=shutil.ignore_patterns("node_modules"))
    packages(CLIENTS / "typescript", source)
    run(source, "npm", "run", "--silent", "build")
    run(source, "npm", "pack", "--silent", "--pack-destination", str(folder))
    (made,) = folder.glob("*.tgz")
    return made


def browsers_part(dist: Path) -> dict[str, str]:
    """The modules that `browser.js` imports, itself, and the service worker: name and text."""
    found: dict[str, str] = {}
    left = {"browser.js"}
    while left:
        name = left.pop()
        found[name] = (dist / name).read_text()
        left |= set(re.findall(r'from "\./(\w+\.js)"', found[name])) - set(found)
    return found | {"worker.js": (dist.parent / "worker" / "worker.js").read_text()}


def install_typescript(package: Path, project: Path) -> None:
    """Put the package where Node finds it, as npm would."""
    target = project / "node_modules" / "ringline-client"
    target.parent.mkdir(parents=True, exist_ok=True)
    with package.open("rb") as archive:
        unpack(archive, target.parent)
    (target.parent / "package").rename(target)


if __name__ == "__main__":
    where = Path(sys.argv[1]).resolve()
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    pack_python(where)
    pack_typescript(where)
    for name, text in browsers_part(where / "typescript" / "dist").items():
        (LAB / name).write_text(text)
    shutil.rmtree(where / "typescript")
