"""Which fault strikes which connection and which request, and how often each has."""

import asyncio
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from devkit.simulator.devices import Environment
from devkit.simulator.faults import ConnectionFault, RequestFault

F = TypeVar("F", ConnectionFault, RequestFault)


@dataclass(slots=True, eq=False)
class Scripted(Generic[F]):
    """A fault in force: how often it matched and struck, who is held by it."""

    number: int
    fault: F
    matched: int = 0
    struck: int = 0
    held: set[asyncio.Future[None]] = field(default_factory=set)
    ended: bool = False

    @property
    def spent(self) -> bool:
        return self.fault.times is not None and self.struck >= self.fault.times

    def strike(self) -> bool:
        """Count a match; tell whether this one is struck."""
        self.matched += 1
        if self.matched <= self.fault.skip or self.spent:
            return False
        self.struck += 1
        return True

    def as_dict(self) -> dict[str, object]:
        """Give the fault as the control API lists it."""
        return {
            "id": self.number,
            "kind": "connection" if isinstance(self.fault, ConnectionFault) else "request",
            "fault": self.fault.model_dump(exclude_defaults=True),
            "matched": self.matched,
            "struck": self.struck,
            "held": len(self.held),
        }

    async def wait_released(self) -> None:
        """Stay until `release`; not at all if the fault has ended since it struck."""
        if self.ended:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.held.add(waiter)
        try:
            await waiter
        finally:
            self.held.discard(waiter)

    def release(self, count: int | None = None) -> int:
        """Let go of those held (at most `count`); give how many."""
        going = [waiter for waiter in self.held if not waiter.done()][:count]
        for waiter in going:
            waiter.set_result(None)
        return len(going)

    def end(self) -> None:
        """Hold nobody any more, nor whom it has struck and does not hold yet."""
        self.ended = True
        self.release()


class FaultBook:
    """All faults in force; the one scripted first that matches strikes.

    Faults for one token are found by it, so that thousands of them cost nothing.
    """

    def __init__(self) -> None:
        self._last = 0
        self._connection: list[Scripted[ConnectionFault]] = []
        self._request: list[Scripted[RequestFault]] = []
        self._by_token: dict[str, list[Scripted[RequestFault]]] = {}
        self._by_number: dict[int, Scripted[ConnectionFault] | Scripted[RequestFault]] = {}
        self.any_for_requests = False
        self.any_at_headers = False

    def add_connection(self, fault: ConnectionFault) -> Scripted[ConnectionFault]:
        """Put a fault of new connections in force."""
        self._last += 1
        scripted = Scripted(self._last, fault)
        self._connection.append(scripted)
        self._by_number[scripted.number] = scripted
        return scripted

    def add_request(self, fault: RequestFault) -> Scripted[RequestFault]:
        """Put a fault of requests in force."""
        self._last += 1
        scripted = Scripted(self._last, fault)
        if fault.token is None:
            self._request.append(scripted)
        else:
            self._by_token.setdefault(fault.token, []).append(scripted)
        self._by_number[scripted.number] = scripted
        self.any_for_requests = True
        self.any_at_headers = self.any_at_headers or fault.on == "headers"
        return scripted

    def get(self, number: int) -> Scripted[ConnectionFault] | Scripted[RequestFault]:
        """Give a fault in force; KeyError when there is none of that number."""
        return self._by_number[number]

    def all(self) -> list[Scripted[ConnectionFault] | Scripted[RequestFault]]:
        """Give all faults in force, oldest first."""
        return list(self._by_number.values())

    def remove(self, number: int | None = None) -> None:
        """End one fault, or all; whoever is held goes on."""
        if number is None:
            ended = self.all()
            self._connection.clear()
            self._request.clear()
            self._by_token.clear()
            self._by_number.clear()
        else:
            ended = [self._by_number.pop(number)]
            self._connection = [s for s in self._connection if s.number != number]
            self._request = [s for s in self._request if s.number != number]
            for token, scripted in list(self._by_token.items()):
                left = [s for s in scripted if s.number != number]
                if left:
                    self._by_token[token] = left
                else:
                    del self._by_token[token]
        in_force = [*self._request, *(s for some in self._by_token.values() for s in some)]
        self.any_for_requests = bool(in_force)
        self.any_at_headers = any(s.fault.on == "headers" for s in in_force)
        for gone in ended:
            gone.end()

    def refused(self, environment: Environment) -> bool:
        """Tell whether an environment's port is to be closed."""
        return any(
            s.fault.refuse and s.fault.environment in (None, environment) for s in self._connection
        )

    def for_connection(
        self, environment: Environment, number: int
    ) -> Scripted[ConnectionFault] | None:
        """Pick the fault that strikes a new connection."""
        for scripted in self._connection:
            fault = scripted.fault
            if (
                fault.environment in (None, environment)
                and fault.connection in (None, number)
                and not fault.refuse
                and scripted.strike()
            ):
                return scripted
        return None

    def for_request(
        self,
        *,
        on: str,
        environment: Environment,
        connection: int,
        token: str,
        topic: str,
        apns_id: str,
    ) -> Scripted[RequestFault] | None:
        """Pick the fault that strikes a request, `on` its headers or its end."""
        candidates: list[Scripted[RequestFault]] = [*self._by_token.get(token, ()), *self._request]
        for scripted in candidates:
            fault = scripted.fault
            if (
                fault.on == on
                and fault.environment in (None, environment)
                and fault.connection in (None, connection)
                and fault.topic in (None, topic)
                and fault.apns_id in (None, apns_id)
                and scripted.strike()
            ):
                return scripted
        return None
