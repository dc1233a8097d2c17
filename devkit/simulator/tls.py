"""TLS in memory over an asyncio TCP connection, by OpenSSL through pyOpenSSL.

The standard library's `ssl` cannot take a client certificate without verifying it, and APNs answers
a bad one over HTTP/2 (403 BadCertificate). An expired one is refused inside TLS.
"""

import asyncio
import socket
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, Protocol, cast

from cryptography import x509
from OpenSSL import SSL, crypto

from devkit.simulator.certificates import Authority

ServerCertificate = Literal["valid", "expired", "wrong_name", "untrusted"]
Speaks = Literal["h2", "both", "old"]
"""`both`: who does not offer `h2` is spoken to in HTTP/1.1; `old`: everybody is."""
_NOT_YET_VALID = 9
_EXPIRED = 10
_READ_SIZE = 16_384
_AT_A_TIME = 16_384
_WRITE_SIZE = 65_536
_LINGER_SECONDS = 1.0


class NoCommonProtocol(Exception):
    """The client offers ALPN, but not what is spoken here: alert no_application_protocol."""


class Contexts:
    """Makes the server's TLS contexts, one for each way to behave."""

    def __init__(self, authority: Authority, ca_file: Path) -> None:
        self._authority = authority
        self._ca_file = ca_file
        self._made: dict[tuple[ServerCertificate, bool, Speaks], SSL.Context] = {}

    def get(
        self, certificate: ServerCertificate = "valid", *, alpn: bool = True, speaks: Speaks = "h2"
    ) -> SSL.Context:
        """Give the context that shows a certificate of a kind, and agrees on what it speaks, or on
        nothing.
        """
        key = (certificate, alpn, speaks)
        if key not in self._made:
            self._made[key] = self._make(certificate, alpn=alpn, speaks=speaks)
        return self._made[key]

    def _make(self, certificate: ServerCertificate, *, alpn: bool, speaks: Speaks) -> SSL.Context:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        authority = Authority.create("Nobody") if certificate == "untrusted" else self._authority
        if certificate == "expired":
            past = datetime.now(UTC) - timedelta(days=400)
            issued = authority.server(not_before=past, not_after=past + timedelta(days=390))
        elif certificate == "wrong_name":
            issued = authority.server(names=("elsewhere.example",))
        else:
            issued = authority.server()
        assert issued.key is not None
        context.use_privatekey(issued.key)
        context.use_certificate(issued.certificate)
        context.load_verify_locations(str(self._ca_file))
        context.set_verify(SSL.VERIFY_PEER, _verify)
        context.set_session_id(b"ringline-simulator")
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION)  # RFC 9113, 9.2.1
        if alpn:
            context.set_alpn_select_callback(_SELECT[speaks])
        return context


def _select_any(_connection: SSL.Connection, offered: list[bytes]) -> bytes:
    return b"h2" if b"h2" in offered else b"http/1.1"


def _select_old(_connection: SSL.Connection, offered: list[bytes]) -> bytes:
    if b"http/1.1" not in offered:
        raise NoCommonProtocol
    return b"http/1.1"


def _select_alpn(_connection: SSL.Connection, offered: list[bytes]) -> bytes:
    if b"h2" not in offered:
        raise NoCommonProtocol
    return b"h2"


_SELECT = {"h2": _select_alpn, "both": _select_any, "old": _select_old}


def _verify(
    connection: SSL.Connection, _certificate: crypto.X509, error: int, _depth: int, ok: int
) -> bool:
    """Let any chain through but an expired one, and note whether it ended at our authority."""
    if ok:
        return True
    if error in (_EXPIRED, _NOT_YET_VALID):
        return False
    cast("TlsStream", connection.get_app_data()).trusted = False
    return True


class Owner(Protocol):
    """Who is told what happens on a TLS connection."""

    def tcp_opened(self) -> None: ...
    def tls_opened(self) -> None: ...
    def tls_failed(self, reason: str) -> None: ...
    def received(self, data: bytes) -> None: ...
    def read_done(self) -> None: ...
    def closed(self) -> None: ...


class TlsStream(asyncio.BufferedProtocol):
    """One connection: bytes from TCP are decrypted for the owner, its writes encrypted.

    TLS begins when the owner calls `start`; what has come before then is kept. In a turn of the
    loop no more is read than fits the buffer: the real services serve one client beside another,
    so hundreds of requests of one connection must not keep those of the next from being noted.
    """

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._tls: SSL.Connection | None = None
        self._transport: asyncio.Transport | None = None
        self._buffer = memoryview(bytearray(_AT_A_TIME))
        self._early = bytearray()
        self._open = False
        self._closing = False
        self._deaf = False
        self.trusted = True
        self.record_size: int | None = None

    def start(self, context: SSL.Context) -> None:
        """Begin the handshake as the server."""
        tls = SSL.Connection(context, None)
        tls.set_app_data(self)
        tls.set_accept_state()
        self._tls = tls
        early, self._early = bytes(self._early), bytearray()
        if early:
            self.data_received(early)

    @property
    def alpn(self) -> bytes:
        """Give the protocol that was agreed, empty for none."""
        return b"" if self._tls is None else self._tls.get_alpn_proto_negotiated()

    @property
    def version(self) -> str:
        """Give the protocol version, such as `TLSv1.3`."""
        return "" if self._tls is None else self._tls.get_protocol_version_name()

    @property
    def peer_certificate(self) -> x509.Certificate | None:
        """Give the client's certificate, if it has shown one."""
        if self._tls is None:
            return None
        return self._tls.get_peer_certificate(as_cryptography=True)

    @property
    def closing(self) -> bool:
        return self._closing

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._owner.tcp_opened()

    def get_buffer(self, _sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(self._buffer[:nbytes]))
        if nbytes == len(self._buffer) and self._transport is not None:
            self._transport.pause_reading()  # or a loop may read on and on in one turn
            asyncio.get_running_loop().call_soon(self._read_on)

    def _read_on(self) -> None:
        if self._transport is not None and not (self._deaf or self._transport.is_closing()):
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Take in bytes as they came."""
        if self._closing:
            return
        if self._tls is None:
            self._early += data
            return
        self._tls.bio_write(data)
        if not self._open:
            self._shake_hands(self._tls)
        if self._open:
            self._read(self._tls)
            self._owner.read_done()
        self._flush(self._tls)

    def _shake_hands(self, tls: SSL.Connection) -> None:
        try:
            tls.do_handshake()
        except SSL.WantReadError:
            return
        except (SSL.Error, NoCommonProtocol) as error:
            self._flush(tls)
            self._owner.tls_failed(_explain(error))
            self.close("fin")
            return
        self._open = True
        self._owner.tls_opened()

    def _read(self, tls: SSL.Connection) -> None:
        while not self._closing:
            try:
                data = tls.recv(_READ_SIZE)
            except SSL.WantReadError:
                return
            except SSL.ZeroReturnError:
                self.close("tls")
                return
            except SSL.Error:
                self._flush(tls)
                self.close("fin")
                return
            self._owner.received(data)

    def write(self, data: bytes) -> None:
        """Encrypt and send."""
        if self._closing or self._tls is None or not data:
            return
        size = self.record_size or len(data)
        for start in range(0, len(data), size):
            self._tls.sendall(data[start : start + size])
        self._flush(self._tls)

    def _flush(self, tls: SSL.Connection | None) -> None:
        if tls is None or self._transport is None or self._transport.is_closing() or self._closing:
            return
        while True:
            try:
                data = tls.bio_read(_WRITE_SIZE)
            except SSL.WantReadError:
                return
            self._transport.write(data)
            if len(data) < _WRITE_SIZE:
                return

    def pause_reading(self) -> None:
        """Stop reading from TCP for good."""
        self._deaf = True
        if self._transport is not None:
            self._transport.pause_reading()

    def close(self, how: Literal["tls", "fin", "rst"]) -> None:
        """End the connection: with TLS's close_notify, by FIN alone, or by a TCP reset.

        Without the reset, what was sent last reaches the peer: the socket is half closed, and
        dropped when the peer has closed its side too, or after a second.
        """
        transport = self._transport
        if self._closing or transport is None:
            return
        if how == "tls" and self._tls is not None and self._open:
            self._shut_down(self._tls)
        self._closing = True
        if how == "rst":
            _reset_on_close(transport)
            transport.abort()
            return
        if transport.can_write_eof() and not transport.is_closing():
            transport.write_eof()
        asyncio.get_running_loop().call_later(_LINGER_SECONDS, transport.abort)

    def _shut_down(self, tls: SSL.Connection) -> None:
        try:
            tls.shutdown()
        except SSL.Error:
            return
        self._flush(tls)

    def abort(self) -> None:
        """Drop the connection at once."""
        if self._transport is not None:
            self._closing = True
            self._transport.abort()

    def connection_lost(self, _exc: Exception | None) -> None:
        self._closing = True
        self._tls = None
        self._owner.closed()


def _reset_on_close(transport: asyncio.Transport) -> None:
    handle = transport.get_extra_info("socket")
    if handle is not None:
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _explain(error: Exception) -> str:
    if isinstance(error, NoCommonProtocol):
        return "the client does not offer ALPN h2"
    details = error.args[0] if error.args else ""
    if isinstance(details, list):
        return "; ".join(str(part[-1]) for part in details)
    return str(details) or type(error).__name__
