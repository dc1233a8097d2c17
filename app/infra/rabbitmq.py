"""RabbitMQ as `ringline doctor` sees it, where it is Celery's broker."""

from typing import Final

from app.infra.queue import QUEUES, make_celery
from app.infra.settings import Settings

MENDS: Final = {
    "PRECONDITION_FAILED": "a queue of this name is of another type: "
    + ", ".join(f"`rabbitmqctl delete_queue {name}`" for name in QUEUES[None])
    + "; what was in them is found by the sweep",
    "ACCESS_REFUSED": "correct user and password in RINGLINE_BROKER_URL, or let the user in: "
    "`rabbitmqctl set_permissions -p VHOST USER '.*' '.*' '.*'`",
    "NOT_ALLOWED": "correct the virtual host in RINGLINE_BROKER_URL, or make it: "
    "`rabbitmqctl add_vhost VHOST`, `rabbitmqctl set_permissions -p VHOST USER '.*' '.*' '.*'`",
}
"""What to do, by the names that AMQP 0-9-1 has for what a server refuses."""

OTHERWISE: Final = (
    "start the server, or correct RINGLINE_BROKER_URL (amqp:// or amqps://, host, port) and "
    "RINGLINE_BROKER_CA_FILE"
)


def look(settings: Settings) -> tuple[bool, str, str]:
    """Whether all is well, what was found, how to mend it. Blocks for some seconds at most.

    The queues are declared as every process does it: that fails where rights are missing.
    """
    try:
        app = make_celery(settings)
        with app.connection_for_write() as connection:
            version = connection.connect().server_properties.get("version", "unknown")
            for queue in app.amqp.queues.values():
                queue(connection.default_channel).declare()
    except Exception as error:  # noqa: BLE001  (whatever it is, it is the finding)
        why = str(error)[:200] or type(error).__name__
        return False, why, next((MENDS[name] for name in MENDS if name in why), OTHERWISE)
    return True, f"version {version}, quorum queues", ""
