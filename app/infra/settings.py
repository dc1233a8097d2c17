"""The one Settings class: the only reader of the environment.

Every setting is an environment variable `RINGLINE_<NAME>`. Secrets are `SecretStr`, so that a
printed Settings never shows them. Numbers, and yes or no, are read as strictly as in an address:
`1_0` is no pool of ten.
"""

import os
from functools import lru_cache
from ipaddress import IPv4Network as Network4
from ipaddress import IPv6Network as Network6
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.core.nearest import nearest
from app.core.numerals import whole_of
from app.infra.amqp_url import AmqpUrl, amqp_url
from app.infra.fields import DecimalText, FlagText, WholeText
from app.infra.server_urls import RedisUrl, database_url, redis_url
from app.infra.urls import BadUrl, http_url

Network = Network4 | Network6
MIN_SECRET_LENGTH = 32
MIN_SECRET_SYMBOLS = 10
KNOWN_SECRETS = ("changeme", "change-me", "secret", "default", "example", "ringline", "password")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
APPLE = "apple.com"
DEVELOPMENT_SECRET = "a-secret-for-development-only-never-for-production"  # noqa: S105


class Settings(BaseSettings):
    """What an operator may set, with what it means and its default."""

    model_config = SettingsConfigDict(
        env_prefix="RINGLINE_", extra="ignore", hide_input_in_errors=True
    )

    environment: Literal["production", "development"] = Field(
        "production", description="`development` allows the built-in secret key"
    )
    database_url: str = Field(
        "postgresql://localhost/ringline",
        repr=False,
        description="PostgreSQL 15 or later, e.g. `postgresql://user:password@host/ringline`",
    )
    redis_url: str = Field(
        "redis://localhost:6379/0",
        repr=False,
        description="Redis or Valkey: `redis://`, `rediss://`, `unix:///path.sock`, or by "
        "sentinels `redis+sentinel://host,host/service`",
    )
    redis_ca_file: Path | None = Field(
        None, description="`rediss://` trusts this PEM file instead of the system's authorities"
    )
    broker_url: str | None = Field(
        None,
        repr=False,
        description="RabbitMQ for Celery's messages instead of Redis: `amqp://` or "
        "`amqps://user:password@host/vhost`; live news and rate limits stay in Redis",
    )
    broker_ca_file: Path | None = Field(
        None, description="`amqps://` trusts this PEM file instead of the system's authorities"
    )
    second_factor: Literal["optional", "required"] = Field(
        "optional",
        description="`required`: without a second factor an administrator sees only the page on "
        "which to add one",
    )
    secret_key: SecretStr = Field(
        SecretStr(""),
        description="guards stored credentials: 32 or more random characters, or several as "
        "`id:secret,id:secret`, the first of which encrypts",
    )
    public_url: str = Field(
        "http://127.0.0.1:8000", description="how phones reach this API; goes into each push"
    )
    apns_production_url: str = "https://api.push.apple.com"
    apns_sandbox_url: str = "https://api.sandbox.push.apple.com"
    apns_ca_file: Path | None = Field(
        None, description="trust this PEM file instead of the system's authorities"
    )
    apns_connections: WholeText = Field(
        4, ge=1, le=64, description="connections to Apple per credential, environment and worker"
    )
    fcm_url: str = "https://fcm.googleapis.com"
    google_token_url: str = Field(
        "https://oauth2.googleapis.com/token",
        description="where access tokens are fetched, whatever a service account's file says",
    )
    google_ca_file: Path | None = Field(
        None, description="trust this PEM file for Google instead of the system's authorities"
    )
    fcm_connections: WholeText = Field(
        4, ge=1, le=64, description="connections to FCM per credential and worker"
    )
    webpush_ca_file: Path | None = Field(
        None,
        description="trust this PEM file for browsers' push services instead of the system's "
        "authorities",
    )
    webpush_connections: WholeText = Field(
        2, ge=1, le=64, description="connections to each push service per VAPID key and worker"
    )
    webpush_allow_private: FlagText = Field(
        False,
        description="push services of subscriptions may have private addresses: for development, "
        "or for a UnifiedPush server of your own",
    )
    cors_origins: Annotated[list[str], NoDecode] = Field(
        [], description="origins of web clients, separated by commas"
    )
    trusted_proxies: Annotated[list[Network], NoDecode] = Field(
        [Network4("127.0.0.1"), Network6("::1")],
        description="addresses and networks, separated by commas, whose `X-Forwarded-For`, "
        "`-Proto` and `-Host` count; empty: nobody's",
    )
    worker_only: Literal["pushes", "webhooks"] | None = Field(
        None,
        description="what this worker process does, if not everything: `webhooks` sends these and "
        "no more, `pushes` all but them. As `ringline worker --only`",
    )
    worker_metrics: str | None = Field(
        None, description="`host:port` on which a worker serves its Prometheus metrics"
    )
    metrics_token: SecretStr | None = Field(
        None,
        description="whoever reads the API's `/metrics` must send it as `Authorization: Bearer`; "
        "only then it names tenants and apps",
    )
    keep_alive: WholeText = Field(
        75,
        ge=1,
        le=3_600,
        description="seconds for which an idle HTTP connection is kept: longer than the proxy in "
        "front keeps it",
    )
    stop_delay: DecimalText = Field(
        3.0,
        ge=0,
        le=60,
        description="seconds for which a process that is told to stop (SIGTERM) is unready and "
        "goes on serving, so that a proxy can turn away from it",
    )
    direct_hints: FlagText = Field(
        True,
        description="tell an idle worker of a ring by a message of our own in Redis, some "
        "milliseconds faster than Celery's, which goes where no worker took it",
    )
    push_batches: FlagText = Field(
        True,
        description="a worker's: the pushes of a group may be written by the fifty in a row. They "
        "are while no worker lives that says no; those that are there are sent in any case",
    )
    access_log: FlagText = Field(True, description="a log line for each HTTP request")
    webhook_allow_private: FlagText = Field(
        False,
        description="webhooks and `jwks_url` may lead to private addresses and over plain HTTP: "
        "for development, or when all tenants are your own",
    )
    simulator_url: str | None = Field(
        None,
        description="control address of the APNs simulator, plain HTTP on the loopback: serves the "
        "lab at `/lab`; for development",
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "json"
    connections: WholeText = Field(
        10_000,
        ge=10,
        le=1_000_000,
        description="HTTP connections of one process, live streams included; more are refused",
    )
    database_pool: WholeText = Field(
        10, ge=2, le=200, description="database connections of one process"
    )

    @field_validator(
        "metrics_token", "worker_metrics", "worker_only", "broker_url", "redis_ca_file",
        "broker_ca_file", "apns_ca_file", "google_ca_file", "webpush_ca_file", mode="before",
    )  # fmt: skip
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        """A variable that is set to nothing, as `${NAME:-}` writes it, is not set; a token from a
        file has a line end that no header has."""
        return (value.strip() or None) if isinstance(value, str) else value

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: object) -> object:
        if isinstance(value, str):
            return [_origin(origin.strip()) for origin in value.split(",") if origin.strip()]
        return value

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return [
                ip_network(part.strip(), strict=False) for part in value.split(",") if part.strip()
            ]
        except ValueError as error:
            raise ValueError(
                f"{error}: write addresses or networks, as 10.0.0.7,10.1.0.0/16"
            ) from error

    @field_validator(
        "public_url", "apns_production_url", "apns_sandbox_url", "fcm_url", "google_token_url"
    )
    @classmethod
    def _http_url(cls, value: str) -> str:
        url = http_url(value)
        if url.query:
            raise BadUrl("query", "must hold no ?")
        return str(url).rstrip("/")

    @field_validator("apns_production_url", "apns_sandbox_url", "fcm_url", "google_token_url")
    @classmethod
    def _push_is_tls(cls, value: str) -> str:
        if not value.startswith("https://"):
            raise ValueError("must begin with https://: pushes go over TLS")
        return value

    @field_validator("simulator_url")
    @classmethod
    def _on_the_loopback(cls, value: str | None) -> str | None:
        if value is None or not value.strip():
            return None
        url = http_url(value)
        if url.scheme != "http" or url.host not in LOOPBACK or url.target != "/":
            raise ValueError("must be http:// on the loopback, such as http://127.0.0.1:9100")
        return str(url).rstrip("/")

    @field_validator("worker_metrics")
    @classmethod
    def _host_and_port(cls, value: str | None) -> str | None:
        if value is not None:
            host, colon, port = value.rpartition(":")
            number = whole_of(port)
            if not colon or not host or number is None or not 0 <= number <= 65_535:
                raise ValueError("must look like 127.0.0.1:9464")
        return value

    @model_validator(mode="after")
    def _default_secret_for_development(self) -> Self:
        if self.environment == "development" and not self.secret_key.get_secret_value():
            self.secret_key = SecretStr(DEVELOPMENT_SECRET)
        return self

    @property
    def sqlalchemy_url(self) -> str:
        """`database_url` with the driver that Ringline uses (asyncpg). Raises ValueError."""
        try:
            return database_url(self.database_url).sqlalchemy
        except ValueError as error:
            raise ValueError(f"RINGLINE_DATABASE_URL: {error}") from error

    @property
    def redis(self) -> RedisUrl:
        """`redis_url` as it was read, for every client. Raises ValueError."""
        try:
            return redis_url(self.redis_url, ca_file=self.redis_ca_file)
        except ValueError as error:
            raise ValueError(f"RINGLINE_REDIS_URL: {error}") from error

    @property
    def rabbitmq(self) -> AmqpUrl | None:
        """`broker_url` as it was read; None where Redis is Celery's broker. Raises ValueError."""
        if not self.broker_url:
            return None
        try:
            return amqp_url(self.broker_url, ca_file=self.broker_ca_file)
        except ValueError as error:
            raise ValueError(f"RINGLINE_BROKER_URL: {error}") from error

    def unreadable(self) -> list[str]:
        """What is wrong with the servers' addresses, a sentence each; empty when all is well."""
        found = []
        for read in (lambda: self.sqlalchemy_url, lambda: self.redis, lambda: self.rabbitmq):
            try:
                read()
            except ValueError as error:
                found.append(str(error))
        return found

    @property
    def pushes_go_to_apple(self) -> bool:
        """Whether one of the APNs addresses is Apple's own, so that real phones could ring."""
        urls = (self.apns_production_url, self.apns_sandbox_url)
        hosts = (http_url(url).host for url in urls)
        return any(host == APPLE or host.endswith("." + APPLE) for host in hosts)

    @property
    def has_lab(self) -> bool:
        """Whether the lab may exist: a simulator is named, and no push can reach Apple."""
        return self.simulator_url is not None and not self.pushes_go_to_apple

    def secret_keys(self) -> dict[str, str]:
        """Secrets by key id, the first one in use for encrypting. A lone secret has the id `1`."""
        text = self.secret_key.get_secret_value()
        keys: dict[str, str] = {}
        for part in text.split(","):
            key_id, colon, secret = part.strip().partition(":")
            if not colon:
                key_id, secret = "1", part.strip()
            keys.setdefault(key_id, secret)
        return keys

    def weaknesses(self) -> list[str]:
        """Why this process must not start in production; empty when it may. Names no secret."""
        found = []
        parts = self.secret_key.get_secret_value().split(",")
        ids = [part.strip().partition(":")[0] for part in parts if ":" in part]
        if len(parts) > 1 and (len(ids) < len(parts) or len(set(ids)) < len(ids)):
            found.append(
                "RINGLINE_SECRET_KEY holds several keys: write each as id:secret, ids apart"
            )
        for key_id, secret in self.secret_keys().items():
            where = "RINGLINE_SECRET_KEY" + (
                f" (key {key_id})" if len(self.secret_keys()) > 1 else ""
            )
            if not secret:
                found.append(f"{where} is not set")
            elif self.environment == "production" and _is_weak(secret):
                found.append(
                    f"{where} is weak: it must be {MIN_SECRET_LENGTH} or more random characters"
                )
        return found


def _origin(text: str) -> str:
    """An origin as browsers write it. Apps have schemes of their own (`capacitor://localhost`)."""
    if not text.lower().startswith(("http://", "https://")):
        return text.rstrip("/")
    url = http_url(text)
    if url.target != "/":
        raise BadUrl("origin", "must hold no path, such as https://app.example.com")
    return url.origin_header


def _is_weak(secret: str) -> bool:
    lowered = secret.lower()
    return (
        len(secret) < MIN_SECRET_LENGTH
        or len(set(secret)) < MIN_SECRET_SYMBOLS
        or secret == DEVELOPMENT_SECRET
        or any(lowered.replace(word, "").strip("-_0123456789.") == "" for word in KNOWN_SECRETS)
    )


PREFIX = "RINGLINE_"
OTHERS = ("RINGLINE_TEST_", "RINGLINE_API_", "RINGLINE_BIND")
"""Variables that are no settings of a server: of the tests, and of deploy/haproxy."""


def unknown_variables() -> dict[str, str | None]:
    """Variables that look like settings and are none, each with the setting of the nearest name."""
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    found = {}
    for name in os.environ:
        ours = name.upper().startswith(PREFIX) and not name.startswith(OTHERS)
        if ours and name.upper() not in known:
            found[name] = nearest(name.upper(), known, at_least=0.7)
    return found


def wants_details() -> bool:
    """Whether the log level is `debug`, also where other settings cannot be read."""
    return os.environ.get("RINGLINE_LOG_LEVEL", "").lower() == "debug"


def wants_traces() -> bool:
    """Whether OpenTelemetry's own variables say that there are traces, and where they go."""
    off = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    named = any(
        os.environ.get(f"OTEL_EXPORTER_OTLP_{name}ENDPOINT", "").strip() for name in ("", "TRACES_")
    )
    return not off and (exporter == "otlp" or (named and not exporter))


def say_in_this_process(name: str, value: str) -> None:
    """Set a setting as if the environment did: a command's option, for whatever it starts."""
    os.environ[f"RINGLINE_{name.upper()}"] = value
    get_settings.cache_clear()


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()
