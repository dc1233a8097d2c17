"""The `ringline` command."""

from app.cli import admins, calls, credentials, payloads, servers, tenants
from app.cli.base import app, fail
from app.infra.errors import AppError

__all__ = ["admins", "app", "calls", "credentials", "main", "payloads", "servers", "tenants"]


def main() -> None:
    """Entry point: errors of ours end in one sentence and exit status 1."""
    try:
        app()
    except AppError as error:
        remedy = error.more.get("remedy")
        fail(f"{error.detail} {remedy}" if remedy else error.detail)
