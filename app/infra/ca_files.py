"""Files of authorities that settings name, looked at before anything trusts by them."""

import ssl
from pathlib import Path

from app.infra.settings import PREFIX, Settings

NAMES = tuple(name for name in Settings.model_fields if name.endswith("_ca_file"))


def trust(context: ssl.SSLContext, file: Path) -> str | None:
    """Trust the authorities in a file; returns what is wrong with it, None if nothing is."""
    try:
        context.load_verify_locations(cafile=str(file))
    except ssl.SSLError:
        return f"{file} holds no certificate in PEM"
    except OSError as error:
        return f"{file}: {error.strerror or error}"
    return None


def faults(settings: Settings) -> dict[str, str]:
    """What is wrong, by the variable that names the file; empty when all can be read."""
    named = {name: getattr(settings, name) for name in NAMES}
    found = {
        f"{PREFIX}{name.upper()}": trust(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), file)
        for name, file in named.items()
        if file is not None
    }
    return {name: said for name, said in found.items() if said is not None}
