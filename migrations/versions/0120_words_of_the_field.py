"""the field's words: session_id, app_id, video, limits, device_id, callkit_reason, ..._reason

Columns, constraints and indexes are renamed; what rests as JSON is changed by path.

Revision ID: 0120
Revises: 0119
"""

import re
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0120"
down_revision = "0119"
branch_labels = None
depends_on = None

EVERYWHERE = {"call_id": "session_id", "bundle_id": "app_id"}
"""Columns, whatever their table, and what is named after them."""

COLUMNS = (
    ("calls", "has_video", "video"),
    ("calls", "figures", "limits"),
    ("members", "holder", "device_id"),
    ("members", "watched", "monitored"),
    ("rings", "callkit", "callkit_reason"),
    ("pushes", "callkit", "callkit_reason"),
    ("tokens", "retired_why", "retired_reason"),
    ("webhooks", "disabled_why", "disabled_reason"),
)
KEYS = {"call_id": "session_id", "call_cid": "cid", "has_video": "video", "bundle_id": "app_id"}
"""Keys of what users are told, and of the data of events."""


def upgrade() -> None:
    for old, new in EVERYWHERE.items():
        _rename_everywhere(old, new)
    for table, old, new in COLUMNS:
        op.alter_column(table, old, new_column_name=new)
    for old, new in KEYS.items():
        _rename_key("user_events", "body", (), old, new)
        _rename_key("user_events", "body", ("data",), old, new)
        _rename_key("events", "data", (), old, new)
        _rename_key("tenant_events", "data", (), old, new)
    _rename_key("tenants", "settings", (), "figures", "limits")
    # a kept answer: its `id` was the session's, its `call_id` the client's own
    _rename_key("idempotency", "answer", (), "id", "session_id")
    _rename_key("idempotency", "answer", (), "call_id", "id")
    _rename_key("idempotency", "answer", (), "has_video", "video")
    _templates({"call_id": "session_id", "call_cid": "cid", "has_video": "video"})


def downgrade() -> None:
    _templates({"session_id": "call_id", "cid": "call_cid", "video": "has_video"})
    _rename_key("idempotency", "answer", (), "video", "has_video")
    _rename_key("idempotency", "answer", (), "id", "call_id")
    _rename_key("idempotency", "answer", (), "session_id", "id")
    _rename_key("tenants", "settings", (), "limits", "figures")
    for old, new in KEYS.items():
        _rename_key("user_events", "body", (), new, old)
        _rename_key("user_events", "body", ("data",), new, old)
        _rename_key("events", "data", (), new, old)
        _rename_key("tenant_events", "data", (), new, old)
    for table, old, new in COLUMNS:
        op.alter_column(table, new, new_column_name=old)
    for old, new in EVERYWHERE.items():
        _rename_everywhere(new, old)


def _rename_everywhere(old: str, new: str) -> None:
    """A column of every table that has it, with the constraints and indexes named after it."""
    connection = op.get_bind()
    here = "n.nspname = current_schema()"
    columns = sa.text(f"""
        SELECT c.relname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE {here} AND c.relkind = 'r' AND a.attname = :old AND a.attnum > 0
            AND NOT a.attisdropped""")  # noqa: S608  (a constant)
    for (table,) in connection.execute(columns, {"old": old}).all():
        op.alter_column(table, old, new_column_name=new)
    constraints = sa.text(f"""
        SELECT c.relname, o.conname FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE {here} AND strpos(o.conname, :old) > 0""")  # noqa: S608  (a constant)
    for table, name in connection.execute(constraints, {"old": old}).all():
        op.execute(f'ALTER TABLE {table} RENAME CONSTRAINT "{name}" TO "{name.replace(old, new)}"')
    indexes = sa.text(f"""
        SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE {here} AND c.relkind = 'i' AND strpos(c.relname, :old) > 0""")  # noqa: S608  (a constant)
    for (name,) in connection.execute(indexes, {"old": old}).all():
        op.execute(f'ALTER INDEX "{name}" RENAME TO "{name.replace(old, new)}"')


def _rename_key(table: str, column: str, path: tuple[str, ...], old: str, new: str) -> None:
    """A key of the JSON object that rests at `path`."""
    moved = sa.text(f"""
        UPDATE {table} SET {column} = jsonb_set({column} #- CAST(:old_path AS text[]),
            CAST(:new_path AS text[]), {column} #> CAST(:old_path AS text[]))
        WHERE jsonb_typeof({column} #> CAST(:inner AS text[])) = 'object'
            AND {column} #> CAST(:inner AS text[]) ? :old""")  # noqa: S608  (our own names)
    values = {"old_path": [*path, old], "new_path": [*path, new], "inner": list(path), "old": old}
    op.get_bind().execute(moved, values)


def _templates(names: dict[str, str]) -> None:
    """Placeholders in tenants' own payload templates."""
    connection = op.get_bind()
    tenants = sa.table(
        "tenants", sa.column("id", sa.Uuid()), sa.column("settings", sa.dialects.postgresql.JSONB())
    )
    for tenant, settings in connection.execute(sa.select(tenants.c.id, tenants.c.settings)).all():
        if settings.get("templates"):
            changed = settings | {"templates": _renamed(settings["templates"], names)}
            connection.execute(
                tenants.update().where(tenants.c.id == tenant).values(settings=changed)
            )


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _renamed(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [_renamed(inner, names) for inner in value]
    if isinstance(value, str):
        for old, new in names.items():
            value = re.sub(r"\{\{(\s*)" + old, r"{{\1" + new, value)  # a hole may have spaces
    return value
