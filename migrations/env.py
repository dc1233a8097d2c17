"""Alembic's entry: runs the migrations over asyncpg, inside one transaction."""

import asyncio

from alembic import context
from sqlalchemy import Connection, pool
from sqlalchemy.ext.asyncio import create_async_engine

import migrations.models  # noqa: F401
from app.infra.connections import SHORT, Patience, server_settings
from app.infra.db import Base
from app.infra.settings import get_settings

MIGRATING = Patience(lock=5.0, statement=3_600.0, answer=3_660.0, idle=60.0)
"""A statement may rewrite a large table; waiting for its lock holds up all who ask after it."""


def migrate(connection: Connection) -> None:
    """Run what is to be run on this connection."""
    context.configure(
        connection=connection, target_metadata=Base.metadata, transaction_per_migration=False
    )
    with context.begin_transaction():
        context.run_migrations()


async def run() -> None:
    """Connect to the URL given by the caller, or to that of the settings."""
    url = context.config.attributes.get("url") or get_settings().sqlalchemy_url
    engine = create_async_engine(
        url,
        poolclass=pool.NullPool,
        connect_args={
            "timeout": SHORT.connect,
            "command_timeout": MIGRATING.answer,
            "server_settings": server_settings(MIGRATING) | {"enable_seqscan": "on", "jit": "on"},
        },
    )
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()


asyncio.run(run())
