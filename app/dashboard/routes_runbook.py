"""Pages: the runbook, for whoever is woken. Open to all, and read without the database: when that
is away nobody can sign in, and it is then that the page is wanted."""

from pathlib import Path
from typing import Final

import orjson
from fastapi import APIRouter, Request, Response
from markupsafe import Markup

from app.dashboard.pages import BASE, PageRoute, nothing_here, render

router = APIRouter(prefix=BASE + "/runbook", route_class=PageRoute, include_in_schema=False)

INDEX: Final = "README"
PAGES: Final[dict[str, str]] = orjson.loads(Path(__file__).with_name("runbook.json").read_bytes())
"""HTML by the name of an alarm: `docs/runbook/`, as `make reference` has written it."""


@router.get("")
async def index(request: Request) -> Response:
    """All alarms, and what each means."""
    return _page(request, INDEX, "Runbook")


@router.get("/{name}")
async def page(request: Request, name: str) -> Response:
    """What one alarm means, how to see it, what to do."""
    if name not in PAGES or name == INDEX:
        raise nothing_here()
    return _page(request, name, name)


def _page(request: Request, name: str, title: str) -> Response:
    text = Markup(PAGES[name])  # noqa: S704  (our own paper, from our own package)
    return render(request, "runbook.html", title=title, text=text, is_index=name == INDEX)
