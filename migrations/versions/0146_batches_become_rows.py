"""on the way back every push that lies in a batch becomes a row

Revision ID: 0146
Revises: 0145
"""

from alembic import op

revision = "0146"
down_revision = "0145"
branch_labels = None
depends_on = None

COLUMNS = """
    id, ring, session_id, tenant_id, user_id, device_row, token_id, purpose, kind, app_id,
    environment, token, token_registered_at, token_version, healed, callkit_reason, created_at,
    deadline, state, is_open, due_at, claimed_by, fence, attempts, status, inherited, repeated,
    reason, sent_at, answered_at, delivered_at, unavailable_at, declined_at
"""


def upgrade() -> None:
    """Nothing: batches are written from the next group on."""


def downgrade() -> None:
    op.execute("LOCK TABLE push_batches IN EXCLUSIVE MODE")
    op.execute(
        f"INSERT INTO pushes ({COLUMNS}) SELECT {COLUMNS} FROM places ON CONFLICT DO NOTHING"  # noqa: S608
    )
    op.execute("DELETE FROM push_batches")
