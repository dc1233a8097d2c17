"""members and rings go with their call by a trigger: no foreign key is looked up for each of them

Revision ID: 0136
Revises: 0135
"""

from alembic import op

revision = "0136"
down_revision = "0135"
branch_labels = None
depends_on = None

FUNCTION = """
    CREATE FUNCTION forget_members_of_calls() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        DELETE FROM members WHERE session_id = ANY (ARRAY(SELECT id FROM gone));
        DELETE FROM rings WHERE session_id = ANY (ARRAY(SELECT id FROM gone));
        RETURN NULL;
    END $$
"""
TRIGGER = """
    CREATE TRIGGER forget_members AFTER DELETE ON calls REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION forget_members_of_calls()
"""


def upgrade() -> None:
    for table in ("members", "rings"):
        op.drop_constraint(f"fk_{table}_session_id", table)
    op.execute(FUNCTION)
    op.execute(TRIGGER)


def downgrade() -> None:
    op.execute("DROP TRIGGER forget_members ON calls")
    op.execute("DROP FUNCTION forget_members_of_calls()")
    for table in ("members", "rings"):
        op.create_foreign_key(
            f"fk_{table}_session_id", table, "calls", ["session_id"], ["id"], ondelete="CASCADE"
        )
