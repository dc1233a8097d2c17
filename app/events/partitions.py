"""The tables of events that lie in partitions by the week."""

from typing import Final

from app.infra.partitions import Weekly

PARTITIONED: Final = (
    Weekly("events", "session_id", of_ids=True),
    Weekly("user_events", "at", of_ids=False),
)
"""An event lies where its call began: what is asked of a call looks into one partition."""
