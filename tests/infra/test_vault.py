"""The vault: envelopes, places, several keys."""

import hmac
import os

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import LargeBinary

import app.calls.models
import app.credentials.models
import app.devices.models
import app.events.models
import app.push.models
import app.tenants.models  # noqa: F401
from app.infra import vault
from app.infra.db import Base
from app.infra.ids import uuid7
from app.infra.settings import Settings
from app.infra.vault import SEALED, Place, VaultError, keyring, rewrap, seal, unseal

OLD, NEW = "old-" + "k3Yq" * 9, "new-" + "p7Zr" * 9
PLACE = Place(uuid7(), uuid7(), "credential")


def ring(secret: str):
    return keyring(Settings(secret_key=secret, environment="development"))


def test_what_was_sealed_opens_in_its_place():
    keys = ring(OLD)
    sealed = seal(keys, PLACE, b"a private key")
    assert b"a private key" not in sealed
    assert unseal(keys, PLACE, sealed) == b"a private key"


def test_the_same_secret_is_sealed_differently_each_time():
    keys = ring(OLD)
    assert seal(keys, PLACE, b"x") != seal(keys, PLACE, b"x")


@pytest.mark.parametrize(
    "other",
    [
        Place(uuid7(), PLACE.row_id, PLACE.purpose),
        Place(PLACE.tenant_id, uuid7(), PLACE.purpose),
        Place(PLACE.tenant_id, PLACE.row_id, "signing_secret"),
    ],
    ids=["tenant", "row", "purpose"],
)
def test_it_opens_nowhere_else(other):
    keys = ring(OLD)
    sealed = seal(keys, PLACE, b"secret")
    for act in (unseal, lambda *args: rewrap(ring(f"2:{NEW},1:{OLD}"), *args[1:])):
        with pytest.raises(VaultError):
            act(keys, other, sealed)


def test_a_data_key_of_another_row_does_not_help():
    """Heads (wrapped data keys) are bound as well as contents: halves cannot be swapped."""
    keys = ring(OLD)
    other = Place(PLACE.tenant_id, uuid7(), PLACE.purpose)
    one, two = seal(keys, PLACE, b"one"), seal(keys, other, b"two")
    size = len(vault.head(keys.current)) + vault.NONCE + vault.WRAPPED
    for mixed in (one[:size] + two[size:], two[:size] + one[size:]):
        for place in (PLACE, other):
            with pytest.raises(VaultError):
                unseal(keys, place, mixed)


def test_each_damaged_byte_is_noticed():
    keys = ring(OLD)
    sealed = seal(keys, PLACE, b"secret")
    for i in range(len(sealed)):
        bent = bytearray(sealed)
        bent[i] ^= 1
        with pytest.raises(VaultError):
            unseal(keys, PLACE, bytes(bent))
    for size in range(len(sealed)):
        with pytest.raises(VaultError):
            unseal(keys, PLACE, sealed[:size])


def test_several_keys_the_first_seals_all_open():
    old, both, new = ring(f"1:{OLD}"), ring(f"2:{NEW},1:{OLD}"), ring(f"2:{NEW}")
    before = seal(old, PLACE, b"secret")
    assert unseal(both, PLACE, before) == b"secret"
    after = rewrap(both, PLACE, before)
    assert after is not None
    assert after.startswith(vault.head(both.current))
    assert unseal(new, PLACE, after) == b"secret"
    assert rewrap(both, PLACE, after) is None
    with pytest.raises(VaultError, match="does not hold the key"):
        unseal(new, PLACE, before)
    # what is guarded is not written anew: its nonce, text and tag stay as they were
    assert after[-(12 + 6 + 16) :] == before[-(12 + 6 + 16) :]


@pytest.mark.parametrize("names", ["new:{},old:{}", "2:{},1:{}", "1:{},0:{}"])
def test_a_lone_secret_can_be_joined_by_another_whatever_they_are_called(names):
    sealed = seal(ring(OLD), PLACE, b"secret")
    both = ring(names.format(NEW, OLD))
    assert unseal(both, PLACE, sealed) == b"secret"
    moved = rewrap(both, PLACE, sealed)
    assert moved is not None
    assert unseal(ring(NEW), PLACE, moved) == b"secret"


def test_what_was_sealed_by_name_opens_still_and_is_wrapped_anew():
    """Version 1, whose name of the key was not bound."""
    keys = ring(OLD)
    sealed = seal(keys, PLACE, b"secret")
    data_key, rest = vault._open_head(keys, PLACE, sealed)
    nonce = os.urandom(vault.NONCE)
    wrapped = AESGCM(keys.keys[keys.current]).encrypt(nonce, data_key, PLACE.bound())
    old = b"\x01\x011" + nonce + wrapped + rest
    assert unseal(keys, PLACE, old) == b"secret"
    assert unseal(ring(f"new:{NEW},old:{OLD}"), PLACE, old) == b"secret"
    again = rewrap(keys, PLACE, old)
    assert again is not None
    assert again.startswith(vault.head(keys.current))


def test_a_changed_secret_under_the_same_id_is_told_apart():
    sealed = seal(ring(OLD), PLACE, b"secret")
    with pytest.raises(VaultError, match="does not hold the key"):
        unseal(ring(NEW), PLACE, sealed)


@pytest.mark.parametrize("key_id", ["", "a b", "x" * 33, "é"])
def test_a_key_id_that_cannot_be_is_refused_without_showing_it(key_id):
    with pytest.raises(VaultError) as error:
        ring(f"{key_id}:{OLD}")
    assert OLD not in str(error.value)


def test_a_keyring_shows_nothing():
    keys = ring(OLD)
    assert OLD not in repr(keys)
    assert repr(keys.keys[keys.current]) not in repr(keys)


def test_token_keys_differ_from_vault_keys_and_old_ones_still_verify():
    old, both = ring(f"1:{OLD}"), ring(f"2:{NEW},1:{OLD}")
    assert old.token_keys[0] != old.keys[old.current]
    mac = old.token_mac(b"message")
    assert both.token_mac_valid(b"message", mac)
    assert not both.token_mac_valid(b"other", mac)
    assert not ring(f"2:{NEW}").token_mac_valid(b"message", mac)


@given(st.binary(max_size=300))
def test_a_tokens_mac_is_hmac_of_sha_256(message):
    keys = ring(f"b:{NEW},a:{OLD}")
    for _ in range(2):  # what is kept of a key is as good the second time
        assert keys.token_mac(message, 32) == hmac.digest(keys.token_keys[0], message, "sha256")
    old = hmac.digest(keys.token_keys[1], message, "sha256")[:16]
    assert keys.token_mac_valid(message, old)
    assert not keys.token_mac_valid(message + b"x", old)


def test_every_sealed_column_is_in_the_registry():
    """One that is missing would be lost with the old key."""
    found = {
        (table.name, column.name)
        for table in Base.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary) and "sealed" in column.name
    }
    assert found == {(one.table, one.column) for one in SEALED}
    for one in SEALED:
        columns = Base.metadata.tables[one.table].columns
        assert {"id", "tenant_id"} <= set(columns.keys())
