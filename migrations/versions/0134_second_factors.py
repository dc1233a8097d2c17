"""second factors of administrators: TOTP, passkeys, recovery codes, and sign-ins that wait for one

Revision ID: 0134
Revises: 0133
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0134"
down_revision = "0133"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)

    def whose() -> sa.Column[Any]:
        return sa.Column(
            "admin_id", sa.Uuid(), sa.ForeignKey("admins.id", ondelete="CASCADE"), nullable=False
        )

    def made() -> sa.Column[Any]:
        return sa.Column("created_at", moment, nullable=False, server_default=sa.func.now())

    op.create_table(
        "admin_totp",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        whose(),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("confirmed", sa.Boolean(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        made(),
        sa.UniqueConstraint("admin_id", name="uq_admin_totp_admin_id"),
    )
    op.create_table(
        "admin_passkeys",
        sa.Column("id", sa.Uuid(), primary_key=True),
        whose(),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("credential_id", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        made(),
        sa.Column("used_at", moment, nullable=True),
        sa.UniqueConstraint("credential_id", name="uq_admin_passkeys_credential_id"),
    )
    op.create_index("ix_admin_passkeys_admin_id", "admin_passkeys", ["admin_id"])
    op.create_table(
        "admin_recovery_codes",
        sa.Column("digest", sa.LargeBinary(), primary_key=True),
        whose(),
        made(),
    )
    op.create_index("ix_admin_recovery_codes_admin_id", "admin_recovery_codes", ["admin_id"])
    op.create_table(
        "admin_challenges",
        sa.Column("digest", sa.LargeBinary(), primary_key=True),
        whose(),
        sa.Column("challenge", sa.LargeBinary(), nullable=False),
        made(),
    )
    op.create_index("ix_admin_challenges_admin_id", "admin_challenges", ["admin_id"])
    op.create_index("ix_admin_challenges_created_at", "admin_challenges", ["created_at"])


def downgrade() -> None:
    for table in ("admin_challenges", "admin_recovery_codes", "admin_passkeys", "admin_totp"):
        op.drop_table(table)
