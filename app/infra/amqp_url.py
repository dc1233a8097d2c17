"""The address of RabbitMQ, where Celery's messages go by it rather than by Redis.

The options are those of RabbitMQ's own URIs ("URI Query Parameters"); what is not known here is
refused. No error repeats what was given: it may hold a password.
"""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

from app.core.frozen import frozen
from app.infra.server_urls import PASSWORD_HINT, in_url, split_host, split_query, split_userinfo

PORTS: Final = {"amqp": 5672, "amqps": 5671}
VERIFY: Final = {"verify_peer": ssl.CERT_REQUIRED, "verify_none": ssl.CERT_NONE}
FILES: Final = {"cacertfile": "ca_certs", "certfile": "certfile", "keyfile": "keyfile"}

CONNECT: Final = 5.0
"""Seconds for a connection: TLS and the protocol's greeting go several times to and fro."""

SILENCE: Final = 5
"""Seconds of silence where an answer is due after which a connection counts as lost."""

HEARTBEAT: Final = 10
"""Seconds; after two without a word a worker connects anew."""


@frozen
class AmqpUrl:
    """Where RabbitMQ is. `tls`: options of py-amqp."""

    host: str
    port: int
    user: str | None
    password: str | None
    vhost: str
    tls: Mapping[str, Any] | None

    @property
    def broker(self) -> dict[str, Any]:
        """Settings of Celery: the address, quorum queues, and an end to each wait."""
        signed_in = ""
        if self.user or self.password:
            signed_in = f"{quote(self.user or '', safe='')}:{quote(self.password or '', safe='')}@"
        place = f"{signed_in}{in_url(self.host, self.port)}/{quote(self.vhost, safe='')}"
        return {
            "broker_url": f"amqp://{place}",
            "broker_use_ssl": dict(self.tls) if self.tls is not None else None,
            "broker_connection_timeout": CONNECT,
            "broker_heartbeat": HEARTBEAT,
            "task_create_missing_queue_type": "quorum",
            "broker_transport_options": {
                "confirm_publish": True,
                "max_retries": 0,  # for ever, otherwise: a hint is worth no second try
                "read_timeout": SILENCE,
                "write_timeout": SILENCE,
            },
        }


def amqp_url(text: str, *, ca_file: Path | None = None) -> AmqpUrl:
    """Read RabbitMQ's address: `amqp://user:password@host:5672/vhost`, or `amqps://`.

    TLS is verified unless the address says `verify=verify_none`. Raises ValueError, which says what
    is wrong and repeats nothing.
    """
    scheme, colon, rest = text.strip().partition("://")
    if not colon or scheme not in PORTS:
        raise ValueError("must begin with amqp:// or amqps://")
    rest, options = split_query(rest, ("verify", *FILES) if scheme == "amqps" else ())
    authority, _, path = rest.partition("/")
    user, password, place = split_userinfo(authority)
    if "," in place or "/" in path:
        raise ValueError("must look like amqp://user:password@host:5672/vhost" + PASSWORD_HINT)
    host, port = split_host(place)
    host = host or "localhost"
    tls = _tls(options, host, ca_file) if scheme == "amqps" else None
    return AmqpUrl(host, port or PORTS[scheme], user, password, unquote(path) or "/", tls)


def _tls(options: Mapping[str, str], host: str, ca_file: Path | None) -> dict[str, Any]:
    asked = options.get("verify", "verify_peer")
    if asked not in VERIFY:
        raise ValueError("verify must be verify_peer or verify_none")
    tls: dict[str, Any] = {
        theirs: options[name] for name, theirs in FILES.items() if name in options
    }
    if ca_file is not None:
        tls.setdefault("ca_certs", str(ca_file))
    if asked == "verify_peer":  # named, py-amqp checks it; not named, it would not
        tls["server_hostname"] = host
    return tls | {"cert_reqs": VERIFY[asked]}
