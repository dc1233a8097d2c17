"""Settings: what is refused, and that no secret is ever shown."""

import pytest
from pydantic import ValidationError

from app.infra.settings import DEVELOPMENT_SECRET, Settings
from app.main import UnsafeSettings, create_app

STRONG = "q8Zk2vWm5TnB7xRj4LpY9sDf3HgC6aEu"


@pytest.mark.parametrize(
    "secret",
    ["", "short", "a" * 64, "changeme" * 8, "ringline-ringline-ringline-ringline-1", DEVELOPMENT_SECRET,
     f"new:{STRONG},old:weak", f"{STRONG},{STRONG[::-1]}", f"a:{STRONG},a:{STRONG[::-1]}"],
)  # fmt: skip
def test_production_does_not_start_with_a_weak_secret(secret: str) -> None:
    settings = Settings(secret_key=secret)
    assert settings.weaknesses()
    with pytest.raises(UnsafeSettings, match="RINGLINE_SECRET_KEY") as caught:
        create_app(settings)
    assert not secret or secret not in str(caught.value)


def test_production_starts_with_a_strong_secret() -> None:
    assert Settings(secret_key=STRONG).weaknesses() == []
    create_app(Settings(secret_key=STRONG))


def test_development_has_a_secret_of_its_own() -> None:
    assert Settings(environment="development").weaknesses() == []


def test_several_keys_by_id_the_first_encrypts() -> None:
    settings = Settings(secret_key=f"new:{STRONG},old:{STRONG[::-1]}")
    assert list(settings.secret_keys()) == ["new", "old"]
    assert settings.weaknesses() == []


def test_a_printed_settings_shows_no_secret() -> None:
    settings = Settings(secret_key=STRONG)
    assert STRONG not in repr(settings)
    assert STRONG not in str(settings.model_dump())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("public_url", "ftp://example.com"),
        ("public_url", "https://user:password@example.com"),
        ("public_url", "https://example.com/?token=1"),
        ("apns_production_url", "http://api.push.apple.com"),
        ("apns_sandbox_url", "nonsense"),
    ],
)
def test_an_unfit_url_is_refused(field: str, value: str) -> None:
    with pytest.raises(ValidationError):
        Settings(**{field: value})


def test_urls_lose_their_last_slash() -> None:
    assert Settings(public_url="https://ring.example.com/").public_url == "https://ring.example.com"


def test_any_postgresql_url_is_spoken_to_by_asyncpg() -> None:
    for scheme in ("postgres", "postgresql", "postgresql+asyncpg"):
        settings = Settings(database_url=f"{scheme}://u:p@host:5433/name")
        assert settings.sqlalchemy_url == "postgresql+asyncpg://u:p@host:5433/name"
    with pytest.raises(ValueError, match="RINGLINE_DATABASE_URL"):
        _ = Settings(database_url="mysql://host/name").sqlalchemy_url


def test_origins_are_split_at_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGLINE_CORS_ORIGINS", "https://a.example/, https://b.example")
    assert Settings().cors_origins == ["https://a.example", "https://b.example"]


def test_a_variable_that_is_set_to_nothing_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """`${NAME:-}` of a compose file sets it so; an empty token would have let everybody in."""
    for name in ("METRICS_TOKEN", "WORKER_METRICS", "WORKER_ONLY", "BROKER_URL", "APNS_CA_FILE"):
        monkeypatch.setenv(f"RINGLINE_{name}", " ")
    found = Settings()
    assert found.metrics_token is found.worker_metrics is found.worker_only is None
    assert found.broker_url is found.apns_ca_file is None
    monkeypatch.setenv("RINGLINE_METRICS_TOKEN", "from-a-file\n")
    token = Settings().metrics_token
    assert token is not None
    assert token.get_secret_value() == "from-a-file"
