"""Sygnal as it comes, but for where Apple is: `python sygnal_here.py HOST PORT`, by its own Python.

Its configuration is `SYGNAL_CONF`; `SSL_CERT_FILE` is what it trusts. Apple takes HTTP/2 without
being asked for it by ALPN (RFC 7301), who plays Apple here does not.
"""

import ssl
import sys

from aioapns.connection import APNsProductionClientProtocol
from sygnal.sygnal import main

_context = ssl.create_default_context


def _speaking_h2() -> ssl.SSLContext:
    context = _context()
    context.set_alpn_protocols(["h2"])
    return context


if __name__ == "__main__":
    APNsProductionClientProtocol.APNS_SERVER = sys.argv[1]
    APNsProductionClientProtocol.APNS_PORT = int(sys.argv[2])
    ssl.create_default_context = _speaking_h2
    main()
