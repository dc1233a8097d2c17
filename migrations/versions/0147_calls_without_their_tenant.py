"""calls go with their tenant by a trigger, looked up for none; pushes have no index by time

Nobody waits for either for longer than a moment: the constraint is dropped when nobody is in the
way, the index beside who writes.

Revision ID: 0147
Revises: 0146
"""

from alembic import op

from migrations.beside import beside_writers, in_a_moment

revision = "0147"
down_revision = "0146"
branch_labels = None
depends_on = None

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
        op.execute(FUNCTION)
        in_a_moment(TRIGGER)
        in_a_moment("ALTER TABLE calls DROP CONSTRAINT IF EXISTS fk_calls_tenant_id")
        beside_writers("DROP INDEX CONCURRENTLY IF EXISTS ix_pushes_created_at")


def downgrade() -> None:
    op.execute("DROP TRIGGER forget_calls ON tenants")
    op.execute("DROP FUNCTION forget_calls_of_tenants()")
    op.create_index("ix_pushes_created_at", "pushes", ["tenant_id", "created_at"])
    op.create_foreign_key(
        "fk_calls_tenant_id", "calls", "tenants", ["tenant_id"], ["id"], ondelete="CASCADE"
    )
