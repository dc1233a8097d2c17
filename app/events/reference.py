"""The reference of events as files: a page, and a JSON Schema for each type.

`python -m app.events.reference` writes them into `docs/events/`, as `make reference` does.
"""

import json
from pathlib import Path
from typing import Any

from app.events.registry import REGISTRY, Entry, example_of, schema_of

ROOT = Path(__file__).resolve().parents[2]
FOLDER = "docs/events"
HEAD = """# Events

What live streams and webhooks tell. Made from `app/events/registry.py` by `make reference`; the
JSON Schema (2020-12) of each type lies beside this page, and `GET /v1/events/types` has them all.

An event of a call has the call's `session_id` and `cid`, and `seq`, which counts within the call. A
webhook's event has an `id` too, the same for each try and endpoint. A client passes over types and
members that it does not know.
"""


def files() -> dict[str, str]:
    """Text by path from the root."""
    page = [HEAD, *(_section(entry) for entry in REGISTRY.values())]
    found = {f"{FOLDER}/README.md": "\n".join(page)}
    for name, entry in REGISTRY.items():
        found[f"{FOLDER}/{name}.json"] = json.dumps(schema_of(entry), indent=2) + "\n"
    return found


def _section(entry: Entry) -> str:
    rows = "\n".join(
        f"| `{name}` | {field.description or ''} |"
        for name, field in entry.data.model_fields.items()
    )
    table = f"\n| `data` | |\n|---|---|\n{rows}\n" if rows else "\n`data` is empty.\n"
    example: dict[str, Any] = example_of(entry)
    return f"## {entry.name}\n\n{entry.about}\n{table}\n```json\n{json.dumps(example)}\n```\n"


def main() -> None:
    """Write the files, and take away those of types that are no more."""
    (ROOT / FOLDER).mkdir(parents=True, exist_ok=True)
    wanted = files()
    for path in (ROOT / FOLDER).iterdir():
        if str(path.relative_to(ROOT)) not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (ROOT / name).write_text(text)


if __name__ == "__main__":
    main()
