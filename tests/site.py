"""`python -m tests.site [--look]`, as `make docs` does: the papers as a site, `build/site/html/`.

Built strictly: a warning of Sphinx's is an error. The papers stay as they are in the repository,
for those who read them there; what is laid out beside them is an index, the API's reference made
from its OpenAPI, and `llms.txt`. The site asks nothing of any other server, and its search works
from a folder of files.
"""

import json
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from app.infra.settings import Settings
from app.main import create_app

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "site"
SOURCE, HTML = BUILD / "source", BUILD / "html"
METHODS = ("get", "post", "put", "patch", "delete")


def lay_out() -> None:
    """Every paper at its place, so that links from one to another stay right."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.copytree(ROOT / "docs", SOURCE / "docs", ignore=shutil.ignore_patterns("site"))
    above = [*ROOT.glob("*.md"), *(ROOT / "clients").glob("*/README.md")]
    above += [ROOT / "deploy" / "README.md", ROOT / "certs" / "README.md"]
    for path in above:
        place = SOURCE / path.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    for name in ("conf.py", "index.md", "scorer.js"):
        shutil.copy(ROOT / "docs" / "site" / name, SOURCE / name)
    _indexes()
    for path, text in api_reference().items():
        place = SOURCE / "docs" / "api" / path
        place.parent.mkdir(exist_ok=True)
        place.write_text(text)
    for path in SOURCE.rglob("*.md"):
        path.write_text(as_site(path.read_text()))


def as_site(text: str) -> str:
    """A paper for the site: a folder's link leads to its index.

    Drawings stay as text, and so does TSX, whose generics Pygments does not read.
    """
    text = re.sub(r"\]\(((?:[\w.-]+/)*decisions/)\)", r"](\1README.md)", text)
    return text.replace("```mermaid", "```text").replace("```tsx", "```text")


def _indexes() -> None:
    pages = sorted((SOURCE / "docs" / "decisions").glob("*.md"))
    listed = "\n".join(f"- [{title(page)}]({page.name})" for page in pages)
    names = "\n".join(page.stem for page in pages)
    (SOURCE / "docs" / "decisions" / "README.md").write_text(
        f"# Decisions\n\nWhy, and what was tried instead.\n\n{listed}\n\n"
        f"```{{toctree}}\n:hidden:\n\n{names}\n```\n"
    )
    runbook = SOURCE / "docs" / "runbook"
    for name, short in re.findall(
        r"^\| \[(\w+)\].*\| (.+) \|$", (runbook / "README.md").read_text(), re.MULTILINE
    ):
        page = runbook / f"{name}.md"  # found by words, and not by its name alone
        page.write_text(page.read_text().replace(f"# {name}\n", f"# {name}: {short}\n", 1))
    names = "\n".join(sorted(page.stem for page in runbook.glob("R*.md") if page.stem != "README"))
    with (runbook / "README.md").open("a") as file:
        file.write(f"\n```{{toctree}}\n:hidden:\n\n{names}\n```\n")


def title(page: Path) -> str:
    found = re.search(r"^# (.+)$", page.read_text(), re.MULTILINE)
    assert found is not None, page
    return found[1]


def api_reference() -> dict[str, str]:
    """Text by file name: a page for each group of requests, and one for all models."""
    told = create_app(Settings(environment="development")).openapi()
    groups: dict[str, list[str]] = defaultdict(list)
    for path, methods in told["paths"].items():
        for method in METHODS:
            if method in methods:
                one = methods[method]
                groups[(one.get("tags") or ["other"])[0]].append(_operation(path, method, one))
    schemas = told["components"]["schemas"]
    pages = {
        f"{_file(name)}.md": f"# {name.capitalize()}\n\n" + "\n".join(found)
        for name, found in groups.items()
    }
    pages["models.md"] = "# Models\n\n" + "\n".join(
        _model(name, schema) for name, schema in sorted(schemas.items())
    )
    names = "\n".join(name.removesuffix(".md") for name in pages)
    pages["README.md"] = (
        "# API reference\n\nMade from the OpenAPI document that a server shows at `/openapi.json`. Errors "
        "are `application/problem+json` with a stable `code`.\n\n"
        f"```{{toctree}}\n:maxdepth: 2\n\n{names}\n```\n"
    )
    return pages


def _file(name: str) -> str:
    return re.sub(r"\W+", "-", name.lower())


def _operation(path: str, method: str, told: dict[str, Any]) -> str:
    lines = [f"## {method.upper()} {path}\n", _text(told.get("description") or told.get("summary"))]
    if told.get("parameters"):
        lines += ["\n| parameter | in | type | |\n|---|---|---|---|"]
        lines += [
            f"| `{one['name']}`{' (required)' if one.get('required') else ''} | {one['in']} "
            f"| {_type(one.get('schema', {}))} | {_cell(one.get('description'))} |"
            for one in told["parameters"]
        ]
    body = told.get("requestBody", {}).get("content", {})
    for kind, one in body.items():
        lines += [f"\nBody (`{kind}`): {_type(one.get('schema', {}))}"]
    lines += ["\n| answer | | |\n|---|---|---|"]
    for status, answer in told["responses"].items():
        shapes = [_type(one.get("schema", {})) for one in answer.get("content", {}).values()]
        lines += [
            f"| {status} | {' or '.join(filter(None, shapes))} | {_cell(answer.get('description'))} |"
        ]
    return "\n".join(lines) + "\n"


def _model(name: str, schema: dict[str, Any]) -> str:
    lines = [f"## {name}\n", _text(schema.get("description"))]
    if schema.get("properties"):
        required = schema.get("required", ())
        lines += ["\n| field | type | |\n|---|---|---|"]
        lines += [
            f"| `{field}`{' (required)' if field in required else ''} | {_type(one)} "
            f"| {_cell(one.get('description'))} |"
            for field, one in schema["properties"].items()
        ]
    elif "enum" in schema:
        lines += ["\n" + ", ".join(f"`{one}`" for one in schema["enum"])]
    return "\n".join(lines) + "\n"


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](models.md#{name.lower()})"
    for way in ("anyOf", "oneOf", "allOf"):
        if way in schema:
            return " or ".join(dict.fromkeys(filter(None, map(_type, schema[way]))))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {})) or 'anything'}"
    if "enum" in schema:
        return ", ".join(f"`{json.dumps(one)}`" for one in schema["enum"])
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    bounds = [
        f"{word} {schema[key]}"
        for key, word in (
            ("minLength", "at least"), ("maxLength", "at most"), ("minimum", "from"),
            ("maximum", "to"), ("maxItems", "at most"),
        )
        if key in schema
    ]  # fmt: skip
    kind = schema.get("format") or schema.get("type") or ""
    return f"{kind} ({', '.join(bounds)})" if bounds else str(kind)


def _text(text: str | None) -> str:
    """A docstring as a paragraph: nothing of it is taken for markup of the page."""
    return re.sub(r"([<>{}*_|\[\]#])", r"\\\1", text or "")


def _cell(text: str | None) -> str:
    return " ".join(_text(text).split())


def llms() -> str:
    """What there is, for who reads by machine (llmstxt.org): every page, with what it says first."""
    lines = [
        "# Ringline\n",
        "> A self-hosted ring service for apps with native call screens.\n",
        "## Docs\n",
    ]
    for page in sorted(SOURCE.rglob("*.md")):
        name = page.relative_to(SOURCE)
        if name.name != "index.md":
            lines.append(f"- [{title(page)}]({name.with_suffix('.html')}){about(page)}")
    return "\n".join(lines) + "\n"


def about(page: Path) -> str:
    """The first sentence of its first paragraph, after a colon; nothing where it begins otherwise."""
    for part in page.read_text().split("\n\n")[:4]:
        text = " ".join(re.sub(r"\]\([^)]*\)|[`*\[\]\\]", "", part).split())
        if text and text[0].isalnum():
            return f": {re.split(r'(?<=[.:]) ', text)[0][:200].rstrip(':.')}"
    return ""


def accessible(page: str) -> str:
    """What the theme leaves out: which level its headings are of, and scrolling by the keyboard."""
    page = page.replace(' role="heading">', ' role="heading" aria-level="2">')
    page = page.replace("<pre>", '<pre tabindex="0">')
    return re.sub(r'<div class="(table-wrapper[^"]*)">', r'<div class="\1" tabindex="0">', page)


def build() -> Path:
    """Build it; returns its first page. Raises CalledProcessError with what Sphinx said."""
    lay_out()
    shutil.rmtree(HTML, ignore_errors=True)
    subprocess.run(
        [sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-q", "-j", "auto",
         "-d", BUILD / "doctrees", SOURCE, HTML],
        check=True,
    )  # fmt: skip
    for page in HTML.rglob("*.html"):
        page.write_text(accessible(page.read_text()))
    (HTML / "llms.txt").write_text(llms())
    return HTML / "index.html"


if __name__ == "__main__":
    print(build())
    if "--look" in sys.argv[1:]:
        from tests.site_in_a_browser import look

        look(HTML)
