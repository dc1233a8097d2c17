"""bundle ids in one spelling: lower case, without `.voip`

Of two rows that were one all the time the later stays. There is no way back to a lost spelling, nor
need of one: a topic is spelled as its credential spells it.

Revision ID: 0114
Revises: 0113
"""

from alembic import op

revision = "0114"
down_revision = "0113"
branch_labels = None
depends_on = None

SPELLING = r"regexp_replace(lower({}.bundle_id), '(\.voip)+$', '')"
TWINS = """
    DELETE FROM {table} old USING {table} kept
    WHERE kept.tenant_id = old.tenant_id AND {same}
        AND ({spelled_old}) = ({spelled_kept})
        AND (kept.{latest}, kept.id) > (old.{latest}, old.id)
"""
RESPELL = "UPDATE {table} t SET bundle_id = {spelled} WHERE bundle_id <> {spelled}"


def upgrade() -> None:
    spelled = {"spelled_old": SPELLING.format("old"), "spelled_kept": SPELLING.format("kept")}
    op.execute(
        TWINS.format(
            table="tokens",
            latest="registered_at",
            same="kept.kind = old.kind AND kept.token = old.token",
            **spelled,
        )
    )
    op.execute(
        TWINS.format(
            table="credentials",
            latest="created_at",
            same="kept.fingerprint = old.fingerprint",
            **spelled,
        )
    )
    for table in ("tokens", "credentials", "pushes"):
        op.execute(RESPELL.format(table=table, spelled=SPELLING.format("t")))


def downgrade() -> None:
    pass
