"""a claim writes no index: what is open is a column of its own, which no claim changes

Revision ID: 0131
Revises: 0130
"""

import sqlalchemy as sa
from alembic import op

revision = "0131"
down_revision = "0130"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # changing the default writes no row anew: what is there is closed, what comes is open
    op.add_column(
        "pushes", sa.Column("is_open", sa.Boolean(), nullable=False, server_default="false")
    )
    op.alter_column("pushes", "is_open", server_default="true")
    for state in ("pending", "sending"):  # by an index each
        op.execute(f"UPDATE pushes SET is_open = true WHERE state = '{state}'")  # noqa: S608
    op.drop_index("ix_pushes_due_at", "pushes")
    op.drop_index("ix_pushes_claimed_by", "pushes")
    op.create_index("ix_pushes_open", "pushes", ["due_at"], postgresql_where=sa.text("is_open"))
    op.execute("ALTER TABLE pushes SET (fillfactor = 45)")


def downgrade() -> None:
    op.execute("ALTER TABLE pushes RESET (fillfactor)")
    op.drop_index("ix_pushes_open", "pushes")
    op.create_index(
        "ix_pushes_claimed_by",
        "pushes",
        ["claimed_by"],
        postgresql_where=sa.text("state = 'sending'"),
    )
    op.create_index(
        "ix_pushes_due_at", "pushes", ["due_at"], postgresql_where=sa.text("state = 'pending'")
    )
    op.drop_column("pushes", "is_open")
