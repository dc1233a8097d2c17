"""What PostgreSQL, and a database of its own in it, must be like."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import text

OLDEST: Final = 150_000
"""`server_version_num` of the first that has all that our statements ask for."""

LIKE = text("""
    SELECT current_setting('server_version_num')::int AS number,
        current_setting('server_version') AS version,
        current_setting('server_encoding') AS encoding,
        current_setting('transaction_read_only') = 'on' AS read_only
""")


def unfit(found: Mapping[str, Any]) -> str | None:
    """What is to be changed about this, of LIKE; None if it will do."""
    if found["number"] < OLDEST:
        return f"this is PostgreSQL {found['version']}: Ringline needs 15 or later"
    if found["encoding"] != "UTF8":
        return (
            f"this database holds texts as {found['encoding']}, which not all names can be written "
            "in: make one of UTF-8 (createdb --template=template0 --encoding=UTF8)"
        )
    return None
