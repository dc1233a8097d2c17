"""Headers of every answer: no guessing of types, no keeping of secrets, HTTPS from now on."""

from typing import Final

from starlette.types import Message, Send

from app.infra.settings import Settings

NOSNIFF: Final = (b"x-content-type-options", b"nosniff")
NO_STORE: Final = (b"cache-control", b"no-store")
HSTS: Final = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
"""RFC 6797: a year. Only where the public URL is HTTPS: browsers would not come back otherwise."""


class SecurityHeaders:
    """What an answer is given where it does not say otherwise itself."""

    def __init__(self, settings: Settings) -> None:
        secure = settings.public_url.startswith("https://")
        self.closing = False
        self.pairs: tuple[tuple[bytes, bytes], ...] = (
            NOSNIFF,
            NO_STORE,
            *((HSTS,) if secure else ()),
        )
        self.lines = b"".join(b"%b: %b\r\n" % pair for pair in self.pairs)

    def close_connections(self) -> None:
        """Let each connection end with its next answer: this process is about to stop."""
        self.closing = True
        self.pairs = (*self.pairs, (b"connection", b"close"))

    def around(self, send: Send) -> Send:
        """`send`, adding to the start of an answer what it lacks."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = message.get("headers", [])
                names = {name.lower() for name, _ in given}
                message["headers"] = [*given, *(one for one in self.pairs if one[0] not in names)]
            await send(message)

        return sending
