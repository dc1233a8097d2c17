"""Every block of code in the papers is run by a test, or says here why it is not."""

import re
from collections import defaultdict
from pathlib import Path

from tests.fences import FENCE
from tests.promises import PROOF, exists
from tests.test_docs import PAGES

ROOT = Path(__file__).resolve().parent.parent
GUIDES = "`tests/e2e/test_guides.py` `python -m tests.readme.guides`"
DRAWN = "a drawing, and no code"
JSON = "`tests/e2e/test_guides.py::test_all_json_is_json`"
BLOCKS = {
    ("README.md", "sh"): (
        "`tests/e2e/test_demo.py` `python -m tests.readme.path` `python -m tests.readme.guides`"
    ),
    ("clients/python/README.md", "python"): (
        "`tests/clients/test_python.py::test_the_readmes_first_example_rings` "
        "`tests/e2e/test_guides.py::test_all_python_is_python`: the others are parsed, not run: each is a "
        "piece of a program, and what it names is run by the client's own tests"
    ),
    ("clients/python/README.md", "sh"): (
        "not run as it stands: what it installs is made and installed by "
        "`tests/clients/test_python.py::test_the_readmes_first_example_rings`"
    ),
    ("clients/typescript/README.md", "sh"): (
        "not run as it stands: what it installs is made and installed by "
        "`tests/clients/test_typescript.py::test_the_readmes_first_example_rings`"
    ),
    ("clients/typescript/README.md", "ts"): (
        "`tests/clients/test_typescript.py::test_the_readmes_first_example_rings` "
        "`tests/clients/test_typescript.py::test_its_types_hold_in_a_strict_project`"
    ),
    ("deploy/README.md", "sh"): (
        "`python -m tests.readme.units`: systemd's; compose's and the cluster's are not run, for there is no container engine; "
        "the image's install is replayed and the chart rendered and checked by `make operating`"
    ),
    ("docs/architecture.md", ""): "`tests/test_docs.py::test_the_layers_are_those_of_the_contract`",
    ("docs/architecture.md", "mermaid"): DRAWN,
    ("docs/events/README.md", "json"): JSON,
    ("docs/guides/android.md", "json"): JSON,
    ("docs/guides/android.md", "sh"): GUIDES,
    ("docs/guides/app-check.md", "sh"): GUIDES,
    ("docs/guides/backup.md", "sh"): GUIDES,
    ("docs/guides/calls.md", "json"): JSON,
    ("docs/guides/calls.md", "sh"): GUIDES,
    ("docs/guides/capacity.md", "sh"): f"{GUIDES} `make capacity`",
    ("docs/guides/devices.md", "sh"): GUIDES,
    ("docs/guides/events-and-webhooks.md", "json"): JSON,
    ("docs/guides/events-and-webhooks.md", "sh"): GUIDES,
    ("docs/guides/high-availability.md", "sh"): (
        "not run: settings with hosts of yours; what they say is `tests/e2e/test_failover.py` `tests/e2e/test_sentinel.py`"
    ),
    ("docs/guides/high-availability.md", "text"): DRAWN,
    ("docs/guides/limits.md", ""): "not run: headers of an answer, which `tests/tenants/test_rate_limits.py` reads",
    ("docs/guides/limits.md", "json"): JSON,
    ("docs/guides/operation.md", ""): "not run as it stands: what Redis is told; the page says by what it was run",
    ("docs/guides/payloads.md", "json"): JSON,
    ("docs/guides/payloads.md", "sh"): GUIDES,
    ("docs/guides/recipes.md", "dart"): "not run: there is no Dart here; the page says so",
    ("docs/guides/recipes.md", "go"): "`python -m tests.readme.languages`",
    ("docs/guides/recipes.md", "java"): "`python -m tests.readme.languages`",
    ("docs/guides/recipes.md", "js"): "`tests/clients/test_recipes.py`",
    ("docs/guides/recipes.md", "python"): "`tests/clients/test_recipes.py`",
    ("docs/guides/recipes.md", "swift"): (
        "parsed, not run: there is no Swift here; `tests/clients/test_recipes.py::test_the_others_are_read_by_a_parser`"
    ),
    ("docs/guides/recipes.md", "tsx"): "`tests/clients/test_recipes.py`",
    ("docs/guides/web-push.md", ""): (
        "not run as it stands: a request and its answer, which `tests/e2e/test_web_push.py` asks for"
    ),
    ("docs/guides/web-push.md", "js"): (
        "parsed, not run: pieces of a page; `tests/clients/test_recipes.py::test_the_others_are_read_by_a_parser`"
    ),
    ("docs/guides/web-push.md", "json"): JSON,
    ("docs/guides/web-push.md", "sh"): GUIDES,
    ("docs/guides/your-app-must.md", "swift"): "parsed, not run: there is no Swift here; `tests/clients/test_app_guide.py`",
    ("docs/performance.md", "mermaid"): DRAWN,
    ("docs/performance.md", "sh"): "not run: it watches a benchmark by py-spy, which is none of our dependencies",
    ("docs/security/hardening.md", "sh"): "not run: it asks advisory databases, which the tests do not reach",
    ("docs/security/threats.md", ""): DRAWN,
    ("docs/site/index.md", ""): "`make docs`",
}  # fmt: skip
"""By page and language: what runs the blocks, or why nothing does."""


def test_every_block_is_run_or_says_why_not() -> None:
    found: dict[tuple[str, str], int] = defaultdict(int)
    for page in PAGES:
        for language, _ in FENCE.findall(page.read_text()):
            found[str(page.relative_to(ROOT)), language] += 1
    assert set(found) == set(BLOCKS)
    for place, said in BLOCKS.items():
        proofs = PROOF.findall(said)
        assert proofs or said == DRAWN or said.startswith("not run"), place
        assert [proof for proof in proofs if not exists(proof)] == [], place


def test_commands_of_guides_stand_where_they_are_run() -> None:
    """A line that begins with `ringline` in a block that is not `sh` would be pasted, and not run."""
    for page in PAGES:
        for language, text in FENCE.findall(page.read_text()):
            commands = [line for line in text.splitlines() if re.match(r"ringline [a-z]", line)]
            assert language == "sh" or not commands, (page, commands)
