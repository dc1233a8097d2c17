"""The half of the handle that makes things go wrong: faults, and orders to connections."""

from typing import Any

from devkit.simulator.apple import Apple
from devkit.simulator.faults import CloseHow, ConnectionFault, Goaway, RequestFault, named_settings
from devkit.simulator.remote import Remote


class Scripting(Remote):
    """Faults to come, and frames sent now."""

    def fault(self, **fields: Any) -> int:
        """Script a fault of requests, with the fields of `RequestFault`; give its number."""
        return self._run(self._server.add_fault(RequestFault(**fields))).result()

    def connection_fault(self, **fields: Any) -> int:
        """Script a fault of new connections, with the fields of `ConnectionFault`."""
        return self._run(self._server.add_fault(ConnectionFault(**fields))).result()

    def struck(self, number: int) -> int:
        """Tell how often a fault has struck."""
        return self._do(lambda apple: apple.faults.get(number).struck)

    def held(self, number: int) -> int:
        """Tell how many requests or connections a fault holds now."""
        return self._do(lambda apple: len(apple.faults.get(number).held))

    def release(self, number: int, count: int | None = None) -> int:
        """Let go of what a fault holds (at most `count`); the fault stays in force."""
        return self._do(lambda apple: apple.faults.get(number).release(count))

    def end_fault(self, number: int | None = None) -> None:
        """End one fault, or all."""
        self._run(self._server.remove_fault(number)).result()

    def connections(self) -> list[dict[str, Any]]:
        """List the open connections: number, environment, client, requests, open_streams."""
        return self._do(lambda apple: [c.as_dict() for c in apple.connections.values()])

    def send_settings(self, connection: int | None = None, **values: int) -> None:
        """Send SETTINGS (`max_concurrent_streams=1`) on one connection, or on all."""
        named = named_settings(values)

        def work(apple: Apple) -> None:
            for found in apple.established(connection):
                found.send_settings(named)
                found.flush()

        self._do(work)

    def send_goaway(self, connection: int | None = None, **fields: Any) -> None:
        """Send GOAWAY, with the fields of `Goaway`, on one connection, or on all."""
        order = Goaway(**fields)

        def work(apple: Apple) -> None:
            for found in apple.established(connection):
                found.goaway(order, above=1)
                found.flush()

        self._do(work)

    def close_connections(self, connection: int | None = None, how: CloseHow = "tls") -> None:
        """Close one connection, or all."""

        def work(apple: Apple) -> None:
            for found in apple.established(connection):
                found.close(how)

        self._do(work)

    def ping(self, connection: int, timeout: float = 5) -> float | None:
        """PING a client; give the seconds until it answered, None if it did not in time."""

        async def work() -> float | None:
            return await self._server.apple.connections[connection].ping(timeout)

        return self._run(work()).result()
