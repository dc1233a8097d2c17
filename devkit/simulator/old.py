"""A connection that may speak HTTP/1.1 in the place of HTTP/2, with the same rules on top."""

from collections.abc import Callable

from devkit.simulator import acting, intake
from devkit.simulator.answers import Answer
from devkit.simulator.connection import ApnsConnection
from devkit.simulator.fault_book import Scripted
from devkit.simulator.faults import RequestFault
from devkit.simulator.http1 import BadHttp, Http1, response
from devkit.simulator.streams import Stream

Deliver = Callable[[], None]


class OldConnection(ApnsConnection):
    """What is agreed on by ALPN is spoken: HTTP/2, or HTTP/1.1, also when nothing is agreed on."""

    speaks_old = True
    _old: Http1 | None = None

    def tls_opened(self) -> None:
        if self.stream.alpn == b"h2":
            super().tls_opened()
            return
        self.apple.statistics.handshakes += 1
        self.established = True
        if self.fault.close is not None:
            self.stream.close(self.fault.close)
        elif not self.fault.silent:
            self._old = Http1()

    def received(self, data: bytes) -> None:
        if self._old is None:
            super().received(data)
            return
        try:
            for number, stream in enumerate(self._old.feed(data), start=self.requests + 1):
                stream.number = number
                self._serve(stream)
        except BadHttp as bad:
            self.apple.statistics.violations.append(f"connection {self.number}: {bad}")
            self.stream.write(response(400, [], b"", keep=False))
            self.close("tls")

    def _serve(self, stream: Stream) -> None:
        request = self.read(stream)
        scripted = None
        if self.apple.faults.any_for_requests:
            scripted = acting.pick(self, request, "request")
        self.requests += 1
        arrival = intake.record(self, stream, request)
        self._open[stream.number] = arrival
        answer, deliver = self.judged(request, arrival)
        if scripted is None:
            self._reply(stream, answer, deliver)
        else:
            arrival.fault = scripted.number
            shaped = acting.shape(answer, scripted.fault)
            self.spawn(self._later(stream, shaped, deliver, scripted))

    async def _later(
        self, stream: Stream, answer: Answer, deliver: Deliver, scripted: Scripted[RequestFault]
    ) -> None:
        fault = scripted.fault
        await acting.waited(scripted)
        if fault.cut is not None:
            whole = self._whole(answer)
            self.stream.write(whole[: whole.index(b"\r\n\r\n") + 4 + (fault.cut == "body")])
        if fault.silence:
            self._open[stream.number].settle("silent")
        elif fault.close is not None or fault.reset is not None:
            self.close(fault.close or "rst")
        else:
            self._reply(stream, answer, deliver)

    def _reply(self, stream: Stream, answer: Answer, deliver: Deliver) -> None:
        arrival = self._open.pop(stream.number)
        if answer.success:
            deliver()
        arrival.settle("answered", status=answer.status, reason=answer.reason)
        self.apple.statistics.answers[answer.reason or str(answer.status)] += 1
        self.stream.write(self._whole(answer))

    @staticmethod
    def _whole(answer: Answer) -> bytes:
        fields = [(name, value) for name, value in answer.header_fields() if name != b":status"]
        return response(answer.status, fields, answer.body_bytes(), keep=True)
