"""Every refusal that a test's client meets is one that the OpenAPI declares for its operation."""

import re
from functools import cache

import httpx

from app.api.problem_codes import codes_of
from clients.generator.document import openapi


@cache
def operations() -> list[tuple[str, re.Pattern[str], str]]:
    """(method, path, name) of each operation, plain paths before those with places."""
    found = []
    document = openapi()
    for path in sorted(document["paths"], key=lambda one: one.count("{")):
        pattern = re.compile("[^/]+".join(map(re.escape, re.split(r"\{[^}]+\}", path))))
        for method, operation in document["paths"][path].items():
            found.append((method.upper(), pattern, operation["operationId"]))
    return found


def undeclared(method: str, path: str, status: int, code: str) -> str | None:
    """What is wrong with this answer, if it is an operation's."""
    for known, pattern, name in operations():
        if known == method and pattern.fullmatch(path):
            if code in codes_of(name).get(status, ()):
                return None
            return f"{name} told {status} {code}: declare it in app/api/problem_codes.py"
    return None


async def declared(response: httpx.Response) -> None:
    """A client's hook: fails the test whose request was refused in a way that is not declared."""
    if response.headers.get("content-type") != "application/problem+json":
        return
    await response.aread()
    code = response.json()["code"]
    if response.status_code < 500 or response.status_code == 503:
        path = response.request.url.raw_path.decode().partition("?")[0]
        wrong = undeclared(response.request.method, path, response.status_code, code)
        assert wrong is None, wrong
