"""What is generated in the clients is what the server says of itself."""

import pytest

from clients.generator import files
from clients.generator.document import openapi, operations


def test_types_and_operations_are_the_servers() -> None:
    stale = [path.name for path, text in files().items() if path.read_text() != text]
    assert stale == [], "run `make reference`"


def test_no_two_models_of_the_server_have_one_name() -> None:
    """FastAPI then names both by their modules, and so would every client."""
    assert [name for name in openapi()["components"]["schemas"] if "__" in name] == []


def test_what_may_be_done_twice_is_repeated_and_nothing_else() -> None:
    """A new POST is not repeated until somebody has said that twice does no harm."""
    made = {one.name: one for one in operations(openapi())}
    assert made["ring"].keyed
    assert made["accept_call"].repeatable
    assert not made["create_webhook"].repeatable
    assert not made["add_credential"].repeatable
    assert made["delete_webhook"].repeatable
    with pytest.raises(KeyError):
        made["stream_events"]
