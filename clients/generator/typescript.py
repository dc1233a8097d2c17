"""TypeScript: an interface for each object, and a class with a method for each operation."""

import json
import re
import textwrap

from clients.generator.document import (
    MADE,
    Operation,
    Schema,
    fields,
    operations,
    row_type,
    type_name,
    value_schema,
)

COMMENT = re.compile(r"/\*\*.*?\*/", re.DOTALL)


def typescript_type(schema: Schema, *, told: bool = False) -> str:
    """A schema as a type. `told`: of an answer, whose words a later server may add to."""
    if "$ref" in schema:
        return type_name(schema["$ref"].rpartition("/")[2])
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        return " | ".join(dict.fromkeys(typescript_type(one, told=told) for one in options))
    if "enum" in schema:
        words = " | ".join(json.dumps(one) for one in schema["enum"])
        return f"{words} | (string & {{}})" if told else words
    if "const" in schema:
        return json.dumps(schema["const"])
    if schema.get("type") == "array":
        inner = typescript_type(schema["items"], told=told)
        return f"({inner})[]" if " " in inner else f"{inner}[]"
    if schema.get("type") == "object":
        return f"Record<string, {typescript_type(value_schema(schema), told=told)}>"
    plain = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean"}
    return {**plain, "null": "null"}.get(schema.get("type", ""), "unknown")


def typescript_models(document: Schema) -> str:
    """`models.ts`: an interface for each object."""
    lines = [f"// {MADE}", ""]
    for name, schema in sorted(document["components"]["schemas"].items()):
        lines += [*_comment(schema.get("description", ""), 0)]
        told = schema.get("additionalProperties") is not False
        lines.append(f"export interface {type_name(name)} {{")
        for field in fields(schema):
            lines += _comment(field.schema.get("description", ""), 2)
            kind = typescript_type(field.schema, told=told)
            lines.append(f"  {field.name}{_typed(kind, needed=field.needed)};")
        lines += ["}", ""]
    return "\n".join(lines)


def _typed(kind: str, *, needed: bool) -> str:
    """A member's type. What may be absent may be `undefined` too, which is sent as absent: so it
    holds in projects that tell the two apart (`exactOptionalPropertyTypes`).
    """
    return f": {kind}" if needed else f"?: {kind} | undefined"


def _comment(text: str, indent: int) -> list[str]:
    if not text:
        return []
    lines = textwrap.wrap(" ".join(text.replace("*/", "* /").split()), 92 - indent)
    pad = " " * indent
    if len(lines) == 1:
        return [f"{pad}/** {lines[0]} */"]
    return [f"{pad}/**", *(f"{pad} * {one}" for one in lines), f"{pad} */"]


def typescript_operations(document: Schema) -> str:
    """`operations.ts`: every operation as a method over `send` and `pages`."""
    schemas = document["components"]["schemas"]
    methods = "\n".join(_typescript_method(one, schemas) for one in operations(document))
    known = {type_name(one) for one in schemas}
    names = sorted(set(re.findall(r"\b[A-Z]\w+\b", COMMENT.sub("", methods))) & known)
    return (
        f"// {MADE}\n"
        'import { Sender, segment } from "./requests.js";\n'
        f'import type {{ {", ".join(names)} }} from "./models.js";\n\n'
        "/** One method for each operation of the API. */\n"
        f"export abstract class Operations extends Sender {{\n{methods}}}\n"
    )


def _typescript_method(operation: Operation, schemas: Schema) -> str:
    name = re.sub(r"_(\w)", lambda found: found[1].upper(), operation.name)
    arguments = [f"{camel(one)}: string" for one in operation.in_path]
    parts = [f'method: "{operation.method}"', f"path: `{_template(operation.path)}`"]
    if operation.repeatable:
        parts.append("repeatable: true")
    if operation.body is not None:
        optional = not operation.body_needed or not operation.body.get("required")
        kind = type_name(operation.body["name"])
        arguments.append(f"body: {kind}{' = {}' if optional else ''}")
        parts.append("body")
    if operation.query:
        inner = "; ".join(
            f"{field.name}{_typed(typescript_type(field.schema), needed=field.needed)}"
            for field in operation.query
        )
        needed = any(field.needed for field in operation.query)
        arguments.append(f"query: {{ {inner} }}{'' if needed else ' = {}'}")
        parts.append("query")
    if operation.keyed:
        arguments.append("options: { idempotencyKey?: string | undefined } = {}")
        parts += ["keyed: true", "idempotencyKey: options.idempotencyKey"]
    request = f"{{ {', '.join(parts)} }}"
    if operation.item is not None:
        rows = typescript_type(row_type(operation, schemas))
        returns, call = (
            f"AsyncIterable<{rows}>",
            f'this.pages<{rows}>({request}, "{operation.item}")',
        )
    else:
        answer = typescript_type(operation.answer) if operation.answer else "void"
        returns, call = f"Promise<{answer}>", f"this.send<{answer}>({request})"
    about = "\n".join(_comment(operation.about, 2))
    return f"{about}\n  {name}({', '.join(arguments)}): {returns} {{\n    return {call};\n  }}\n"


def camel(name: str) -> str:
    """`device_id` reads `deviceId`, where it is ours to name."""
    return re.sub(r"_(\w)", lambda found: found[1].upper(), name)


def _template(path: str) -> str:
    return re.sub(r"{(\w+)}", lambda found: f"${{segment({camel(found[1])})}}", path)
