"""RabbitMQ's address: what Celery and py-amqp are told of it, and what is refused."""

import ssl
from pathlib import Path

import pytest

from app.infra.amqp_url import amqp_url
from app.infra.queue import OF_WEBHOOKS, QUEUE, make_celery
from app.infra.settings import Settings

QUOTED = "p%40s%2Fw%3Ard%25"
PASSWORD = "p@s/w:rd%"


@pytest.mark.parametrize(
    ("given", "place", "vhost"),
    [
        ("amqp://h", ("h", 5672), "/"),
        ("amqp://h/", ("h", 5672), "/"),
        ("amqp://h:5673/%2F", ("h", 5673), "/"),
        ("amqps://h/rings", ("h", 5671), "rings"),
        ("amqp://[::1]:5673/a%20b", ("::1", 5673), "a b"),
        (f"amqp://u:{QUOTED}@h/a%2Fb", ("h", 5672), "a/b"),
    ],
)
def test_celerys_client_is_told_what_was_read(
    given: str, place: tuple[str, int], vhost: str
) -> None:
    url = amqp_url(given)
    assert ((url.host, url.port), url.vhost) == (place, vhost)
    with make_celery(Settings(broker_url=given)).connection_for_read() as theirs:
        assert (theirs.hostname.strip("[]"), theirs.port, theirs.virtual_host) == (*place, vhost)
        assert (theirs.password or None) == (PASSWORD if QUOTED in given else None)
        assert PASSWORD not in theirs.as_uri()
        assert QUOTED not in theirs.as_uri()
        assert bool(theirs.ssl) == given.startswith("amqps")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": "h"}),
        ("?verify=verify_none", {"cert_reqs": ssl.CERT_NONE}),
        (
            "?cacertfile=/ca.pem&certfile=/c.pem&keyfile=/k.pem",
            {
                "cert_reqs": ssl.CERT_REQUIRED, "server_hostname": "h",
                "ca_certs": "/ca.pem", "certfile": "/c.pem", "keyfile": "/k.pem",
            },
        ),
    ],
)  # fmt: skip
def test_tls_is_verified_unless_the_address_says_otherwise(
    options: str, expected: dict[str, object]
) -> None:
    assert amqp_url(f"amqps://h{options}").tls == expected
    trusting = amqp_url(f"amqps://h{options}", ca_file=Path("/own.pem")).tls
    assert trusting == {"ca_certs": "/own.pem"} | expected


@pytest.mark.parametrize("given", [
    "redis://h", "h:5672", "", "amqp://h:99999", "amqp://a,b/x", "amqp://h/a/b", "amqp://h?verify=verify_none",
    "amqps://h?verify=perhaps", "amqps://h?heartbeat=3", "amqp://u:pass#word@h", "amqp://u:pass/word@h/x",
])  # fmt: skip
def test_a_wrong_address_is_told_and_not_repeated(given: str) -> None:
    with pytest.raises(ValueError) as caught:
        amqp_url(given)
    assert "word" not in str(caught.value).replace("password", "")
    if given:
        (told,) = Settings(broker_url=given).unreadable()
        assert told.startswith("RINGLINE_BROKER_URL: ")


def test_queues_are_quorum_queues_at_rabbitmq_only_and_whoever_publishes_knows_both() -> None:
    for only in (None, "pushes", "webhooks"):
        for url, kind in ((None, None), ("amqp://h", {"x-queue-type": "quorum"})):
            queues = make_celery(Settings(broker_url=url, worker_only=only)).amqp.queues
            for name in (QUEUE, OF_WEBHOOKS):
                queue = queues[name]
                assert (queue.name, queue.exchange.name, queue.routing_key) == (name, name, name)
                assert queue.queue_arguments == kind
