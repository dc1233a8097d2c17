"""calls go with their tenant by a trigger, looked up for none; pushes have no index by time

Nobody waits for either for longer than a moment: the constraint is dropped when nobody is in the
way, the index beside who writes.

Revision ID: 0147
Revises: 0146
"""

import time

from alembic import op
from sqlalchemy.exc import DBAPIError

revision = "0147"
down_revision = "0146"
branch_labels = None
depends_on = None

TRIES = 3_600
LOCK_NOT_AVAILABLE = "55P03"
FUNCTION = """
    CREATE OR REPLACE FUNCTION forget_calls_of_tenants() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        DELETE FROM calls WHERE tenant_id = ANY (ARRAY(SELECT id FROM gone));
        RETURN NULL;
    END $$
"""
TRIGGER = """
    CREATE OR REPLACE TRIGGER forget_calls AFTER DELETE ON tenants REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION forget_calls_of_tenants()
"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = '60ms'")
        op.execute(FUNCTION)
        _in_a_moment(TRIGGER)
        _in_a_moment("ALTER TABLE calls DROP CONSTRAINT IF EXISTS fk_calls_tenant_id")
        op.execute("SET lock_timeout = '10min'")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_pushes_created_at")
        op.execute("RESET lock_timeout")


def downgrade() -> None:
    op.execute("DROP TRIGGER forget_calls ON tenants")
    op.execute("DROP FUNCTION forget_calls_of_tenants()")
    op.create_index("ix_pushes_created_at", "pushes", ["tenant_id", "created_at"])
    op.create_foreign_key(
        "fk_calls_tenant_id", "calls", "tenants", ["tenant_id"], ["id"], ondelete="CASCADE"
    )


def _in_a_moment(statement: str) -> None:
    """Do it when nobody is in the way: writers wait behind it for 60 ms at a time."""
    for tries_left in reversed(range(TRIES)):
        try:
            op.execute(statement)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", "") != LOCK_NOT_AVAILABLE or not tries_left:
                raise
            time.sleep(0.25)
        else:
            return
