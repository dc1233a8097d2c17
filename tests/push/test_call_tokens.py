"""The call token that a push carries reads as what it was made of, whatever its bytes."""

import base64
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from app.access import CALL_PREFIX, call_token, read_call_token
from app.infra import vault
from app.infra.settings import Settings

KEYRING = vault.keyring(Settings(environment="development"))
ids = st.uuids() | st.just(UUID(int=(1 << 128) - 1)) | st.just(UUID(int=0))


@given(ids, ids, ids, st.integers(0, 2**31))
def test_a_call_token_is_base64_for_urls_of_what_it_says(tenant, ring, device, now) -> None:
    said = {"tenant_id": tenant, "ring": ring, "device_row": device}
    token = call_token(KEYRING, **said, now=now, expires=now + 60)
    text = token.removeprefix(CALL_PREFIX)
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    assert base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == text
    read = read_call_token(KEYRING, token, now)
    assert (read.tenant_id, read.ring, read.device_row) == (tenant, ring, device)
