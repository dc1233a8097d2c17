"""What to do where a push service cannot be reached, by what stood in the way."""

import socket
import ssl
from typing import Final

OWN: Final = {"Apple": ".push.apple.com", "Google": ".googleapis.com"}


def way_out(host: str, service: str, authorities: str, error: BaseException) -> str:
    """A sentence for whoever runs this machine; `authorities` is the setting of whom to trust.

    An address that a setting names instead of the service's own is somebody else's to start.
    """
    if not host.endswith(OWN[service]):
        if isinstance(error, ssl.SSLError):
            return f"name the authority of its certificate in {authorities}"
        return f"start what shall answer there, or unset the setting: without it {service} is asked"
    names = "let names be looked up (DNS), and " if isinstance(error, socket.gaierror) else ""
    ports = "443 to Apple (or 2197)" if service == "Apple" else f"443 to {service}"
    return f"{names}allow outgoing TCP {ports}, with no proxy that opens TLS"
