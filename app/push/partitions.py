"""The tables of pushes that lie in partitions by the week."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from app.infra.ids import least_uuid7
from app.infra.partitions import Weekly

PARTITIONED: Final = (Weekly("attempts", "id", of_ids=True, ended="finished_at", of_tenants=False),)

A_DAY: Final = timedelta(days=1)
"""Far more than clocks differ by: what processes believe is the database's may be off a little."""


def tries_of(pushes: Sequence[tuple[UUID, datetime, datetime]]) -> dict[str, object]:
    """These pushes (id, created_at, deadline), and between which ids their attempts are.

    All that is read of attempts says so, and opens one week or two.
    """
    ids = [push for push, _, _ in pushes]
    if not ids:
        return {"pushes": ids, "first": UUID(int=0), "last": UUID(int=0)}
    begin = min(created_at for _, created_at, _ in pushes)
    end = max(deadline for _, _, deadline in pushes)
    first, last = least_uuid7(begin - A_DAY), least_uuid7(end + A_DAY)
    return {"pushes": ids, "first": first, "last": last}
