"""Python: a TypedDict for each object, and each operation twice, for those who wait or await."""

import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

from clients.generator.document import (
    MADE,
    Field,
    Operation,
    Schema,
    fields,
    operations,
    row_type,
    type_name,
    value_schema,
)

STYLE = Path(__file__).resolve().parents[2] / "pyproject.toml"
DOCSTRING = re.compile(r'""".*?"""', re.DOTALL)


def python_type(schema: Schema) -> str:
    """A schema as an annotation."""
    if "$ref" in schema:
        return type_name(schema["$ref"].rpartition("/")[2])
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        return " | ".join(dict.fromkeys(python_type(one) for one in options))
    if "enum" in schema:
        return f"Literal[{', '.join(json.dumps(one) for one in schema['enum'])}]"
    if "const" in schema:
        return f"Literal[{json.dumps(schema['const'])}]"
    if schema.get("type") == "array":
        return f"list[{python_type(schema['items'])}]"
    if schema.get("type") == "object":
        return f"dict[str, {python_type(value_schema(schema))}]"
    plain = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
    return {**plain, "null": "None"}.get(schema.get("type", ""), "Any")


def python_models(document: Schema) -> str:
    """`models.py`: a TypedDict for each object. What it does not name is in the dict, too."""
    lines = [f'"""What the server sends and takes.\n\n{MADE}\n"""', ""]
    lines += ["from __future__ import annotations", ""]
    lines += ["from typing import Any, Literal, NotRequired, TypedDict", ""]
    for name, schema in sorted(document["components"]["schemas"].items()):
        lines += ["", f"class {type_name(name)}(TypedDict):", *_docstring(schema, 4), ""]
        for field in fields(schema):
            kind = python_type(field.schema)
            lines.append(f"    {field.name}: {kind if field.needed else f'NotRequired[{kind}]'}")
            lines += _docstring(field.schema, 4)
        lines.append("")
    return "\n".join(lines)


def _docstring(schema: Schema, indent: int) -> list[str]:
    about = schema.get("description", "")
    return textwrap.indent(_quoted(about, 92 - indent), " " * indent).split("\n") if about else []


def _quoted(text: str, width: int) -> str:
    """A docstring: its first sentence alone, if there is more."""
    head, _, rest = text.replace("\\", "\\\\").partition("\n\n")
    first = textwrap.wrap(head, width)
    more = textwrap.wrap(rest.replace("\n\n", " "), width)
    if not more and len(first) == 1:
        return f'"""{first[0]}"""'
    return "\n".join([f'"""{first[0]}', *first[1:], *(["", *more] if more else []), '"""'])


def python_operations(document: Schema) -> str:
    """`operations.py`: every operation twice, for those who wait and for those who await."""
    schemas = document["components"]["schemas"]
    used: set[str] = set()
    both = []
    for prefix in ("", "Async"):
        methods = [_python_method(one, schemas, prefix) for one in operations(document)]
        for text in methods:
            used |= set(re.findall(r"\b[A-Z]\w+\b", DOCSTRING.sub("", text)))
        about = "Every operation, awaited." if prefix else "Every operation; each waits."
        base = f"{prefix}Sender"
        both.append(f'class {prefix}Operations({base}):\n    """{about}"""\n\n{"".join(methods)}')
    names = sorted(used & {type_name(one) for one in schemas})
    head = (
        f'"""One method for each operation of the API.\n\n{MADE}\n"""\n\n'
        "from collections.abc import AsyncIterator, Iterator\n"
        "from typing import Any, Literal, cast\n\n"
        f"from ringline_client.models import {', '.join(names)}\n"
        "from ringline_client.requests import AsyncSender, Request, Sender, segment\n\n\n"
    )
    return head + "\n\n".join(both)


def _python_method(operation: Operation, schemas: Schema, prefix: str) -> str:
    paged = operation.item is not None
    waits = "await " if prefix and not paged else ""
    start = "async def" if waits else "def"
    inner = fields(operation.body) if operation.body else []
    named = [*inner, *operation.query]
    positional = "".join(f", {name}: str" for name in operation.in_path)
    keywords = "".join(_python_argument(field) for field in named)
    if operation.keyed:
        keywords += ", idempotency_key: str | None = None"
    star = ", *" if keywords else ""
    rows = python_type(row_type(operation, schemas)) if paged else ""
    answer = python_type(operation.answer) if operation.answer else "None"
    returns = f"{prefix}Iterator[{rows}]" if paged else answer
    path = re.sub(r"{(\w+)}", r"{segment(\1)}", operation.path)
    text = f'{"f" if operation.in_path else ""}"{path}"'
    request = f'Request("{operation.method}", {text}, repeatable={operation.repeatable}'
    if operation.query:
        request += f", query={{{', '.join(f'{f.name!r}: {f.name}' for f in operation.query)}}}"
    if operation.body is not None:
        request += f", body={{{', '.join(f'{f.name!r}: {f.name}' for f in inner)}}}"
    if operation.keyed:
        request += ", keyed=True, idempotency_key=idempotency_key"
    request += ")"
    call = f'self._pages({request}, "{operation.item}")' if paged else f"self._send({request})"
    doc = textwrap.indent(_quoted(operation.about, 84), " " * 8)
    body = f"{waits}{call}" if returns == "None" else f'return cast("{returns}", {waits}{call})'
    return (
        f"    {start} {operation.name}(self{positional}{star}{keywords}) -> {returns}:\n"
        f"{doc}\n        {body}\n\n"
    )


def _python_argument(field: Field) -> str:
    kind = python_type(field.schema)
    if field.needed:
        return f", {field.name}: {kind}"
    return f", {field.name}: {kind if kind.endswith('None') else f'{kind} | None'} = None"


def formatted(text: str) -> str:
    """Python as ruff would have it."""
    ruff = [sys.executable, "-m", "ruff", "format", "--config", str(STYLE)]
    done = subprocess.run([*ruff, "-"], input=text, capture_output=True, text=True, check=True)
    return done.stdout
