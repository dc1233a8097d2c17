"""The shared vectors: what every client must do with what the server says."""

import json
from typing import Any

from tests.clients.readme import CLIENTS

FOLDER = CLIENTS / "vectors"
NAMES = {path.stem for path in FOLDER.glob("*.json")}


def vectors(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return found


def cases(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = vectors(name)["cases"]
    return found
