"""Ids as an array of PostgreSQL in text: `CAST(CAST(:name AS text) AS uuid[])`.

Of an array the driver looks at each element several times, in Python, and writes it by itself: of a
group's ids that was a tenth of all that the API did for it.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson


def as_array(values: Sequence[Any]) -> str:
    """Ids, of users too, or whole numbers.

    JSON says in quotes what an array says, but for controls, which no id has.
    """
    return "{" + orjson.dumps(values, default=str).decode()[1:-1] + "}"


def of_users(users: Sequence[tuple[UUID, str]]) -> tuple[str, str]:
    """Their tenants, and their own ids."""
    tenants = [tenant for tenant, _ in users]
    if len(tenants) > 1 and all(one is tenants[0] for one in tenants):  # as it nearly always is
        said = "{" + ",".join([str(tenants[0])] * len(tenants)) + "}"
    else:
        said = as_array(tenants)
    return said, as_array([user for _, user in users])
