"""Certificates and keys from memory, and nothing of them left on disk."""

import ssl
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from OpenSSL import SSL

from app.apns import credential as module
from app.apns.credential import CertificateCredential, KeyCredential, load_pem
from app.http2.tls import client_context
from tests.apns.rig import BUNDLE, Rig, open_descriptors


def test_a_context_is_strict() -> None:
    context = client_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("load", [load_pem, module._load_from_private_file])
def test_a_certificate_is_loaded_and_leaves_no_file(sim, tmp_path, monkeypatch, load) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    descriptors = open_descriptors()
    context = client_context()
    load(context, sim.voip_certificate(BUNDLE).pem)
    assert list(tmp_path.iterdir()) == []
    assert open_descriptors() == descriptors


@pytest.mark.skipif(sys.platform != "linux", reason="memory files are Linux's")
def test_on_linux_it_never_touches_the_disk(sim, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    load_pem(client_context(), sim.voip_certificate(BUNDLE).pem)


@pytest.mark.parametrize("load", [load_pem, module._load_from_private_file])
def test_the_key_may_come_first(sim, load) -> None:
    issued = sim.voip_certificate(BUNDLE)
    load(client_context(), issued.key_pem + issued.certificate_pem)


def test_what_cannot_be_used_is_refused_in_words(sim, capfd) -> None:
    issued, other = sim.voip_certificate(BUNDLE), sim.voip_certificate(BUNDLE)
    key = load_pem_private_key(issued.key_pem, None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    for pem in (
        b"",
        b"nonsense",
        issued.certificate_pem,
        issued.key_pem,
        issued.certificate_pem + other.key_pem,
        issued.certificate_pem + locked,  # must not ask on the terminal
    ):
        with pytest.raises(ValueError, match="cannot be loaded"):
            load_pem(client_context(), pem)
    assert capfd.readouterr() == ("", "")


def test_secrets_are_not_in_reprs(sim) -> None:
    pem = sim.voip_certificate(BUNDLE).pem
    assert "PRIVATE" not in repr(CertificateCredential(pem=pem))
    made = KeyCredential(p8=b"-----BEGIN PRIVATE KEY-----", key_id="A" * 10, team_id="B" * 10)
    assert "PRIVATE" not in repr(made)


async def test_no_temporary_file_is_left_by_pushing(rig: Rig) -> None:
    before = set(Path(tempfile.gettempdir()).glob("*.pem"))
    assert (await rig.push()).code == 200
    assert set(Path(tempfile.gettempdir()).glob("*.pem")) == before


def test_renegotiation_is_refused(sim) -> None:
    """RFC 9113 section 9.2.1: a server that asks for it under TLS 1.2 does not get it."""
    issued = sim.authority.server()
    settings = SSL.Context(SSL.TLS_SERVER_METHOD)
    settings.set_max_proto_version(SSL.TLS1_2_VERSION)
    settings.use_privatekey(issued.key)
    settings.use_certificate(issued.certificate)
    settings.set_alpn_select_callback(lambda _connection, _offered: b"h2")
    server = SSL.Connection(settings, None)
    server.set_accept_state()
    context = client_context()
    context.load_verify_locations(str(sim.ca_file))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")

    def turns(on_client, on_server) -> None:
        for _ in range(6):
            for step in (on_client, on_server):
                with suppress(ssl.SSLError, SSL.Error):
                    step()
                with suppress(SSL.WantReadError):
                    incoming.write(server.bio_read(65_536))
                if outgoing.pending:
                    server.bio_write(outgoing.read())

    turns(client.do_handshake, server.do_handshake)
    assert client.selected_alpn_protocol() == "h2"
    before = server.get_finished()
    assert server.renegotiate()
    server.do_handshake()
    turns(lambda: client.read(100), lambda: server.recv(100))
    assert server.get_finished() == before
