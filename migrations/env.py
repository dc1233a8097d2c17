"""Alembic's entry: runs the migrations over asyncpg, each in a transaction of its own."""

import asyncio

from alembic import context
from sqlalchemy import Connection

import migrations.models  # noqa: F401
from app.infra.db import Base
from app.infra.settings import get_settings
from migrations.running import run


def migrate(connection: Connection) -> None:
    """Run what is to be run on this connection: what is done stays when the next has to wait."""
    context.configure(
        connection=connection, target_metadata=Base.metadata, transaction_per_migration=True
    )
    with context.begin_transaction():
        context.run_migrations()


attributes = context.config.attributes
attributes.setdefault("say", lambda _sentence: None)  # as Alembic's own command has it
asyncio.run(run(attributes.get("url") or get_settings().sqlalchemy_url, migrate, attributes["say"]))
