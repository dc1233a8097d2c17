"""Files of authorities that settings name, looked at before anything trusts by them."""

import ssl
from pathlib import Path

from app.infra.settings import PREFIX, Settings

NAMES = ("redis_ca_file", "broker_ca_file", "apns_ca_file", "google_ca_file", "webpush_ca_file")


def faults(settings: Settings) -> dict[str, str]:
    """What is wrong, by the variable that names the file; empty when all can be read."""
    found = {}
    for name in NAMES:
        file: Path | None = getattr(settings, name)
        if file is None:
            continue
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=str(file))
        except ssl.SSLError:
            found[f"{PREFIX}{name.upper()}"] = f"{file} holds no certificate in PEM"
        except OSError as error:
            found[f"{PREFIX}{name.upper()}"] = f"{file}: {error.strerror or error}"
    return found
