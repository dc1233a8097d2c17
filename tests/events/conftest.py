"""The house of the end-to-end tests, for live streams and webhooks."""

from tests.e2e.conftest import (  # noqa: F401
    make_house,
    shared_database,
    shared_house,
    simulator,
    tenant,
)
