"""The addresses of PostgreSQL and Redis: read once, and every client is built of what was read.

Two readers of one address differ where it hurts: `sslmode` means something to libpq and nothing to
SQLAlchemy, `rediss://` is verified by redis-py and not by Celery. What is not known here is refused
rather than left to one of them. No error repeats what was given: it may hold a password.
"""

import ssl
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote

from sqlalchemy import URL

from app.core.frozen import frozen
from app.core.nearest import nearest

PASSWORD_HINT: Final = "; in a password write @ : / ? # % as %40 %3A %2F %3F %23 %25"  # noqa: S105

# --- PostgreSQL (libpq's connection URIs, "34.1.1.2. Connection URIs") ----------------------------

POSTGRES_SCHEMES: Final = ("postgresql+asyncpg", "postgresql", "postgres")
SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
VERIFIED: Final = ("verify-ca", "verify-full")
TAKEN: Final = frozenset(
    {"sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl", "sslnegotiation",
     "ssl_min_protocol_version", "ssl_max_protocol_version", "target_session_attrs", "passfile",
     "krbsrvname", "gsslib", "service", "application_name", "options"}
)  # fmt: skip
"""What asyncpg does as libpq does."""

OURS: Final = frozenset(
    {"connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count",
     "tcp_user_timeout", "client_encoding", "fallback_application_name", "gssencmode",
     "sslcompression", "sslsni", "sslcertmode", "load_balance_hosts", "require_auth"}
)  # fmt: skip
"""What libpq knows and Ringline sets itself, or what makes no difference: taken, and not used."""

PLACES: Final = frozenset({"host", "port", "user", "password", "dbname"})
BUNDLES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)


@frozen
class DatabaseUrl:
    """Where PostgreSQL is. `hosts`: names, addresses or folders of a socket, with ports or None."""

    user: str | None
    password: str | None
    hosts: tuple[tuple[str, int | None], ...]
    database: str | None
    options: tuple[tuple[str, str], ...]

    @property
    def sqlalchemy(self) -> str:
        """The address for SQLAlchemy's asyncpg: libpq's options travel in a DSN of their own."""
        plain = len(self.hosts) == 1 and not self.hosts[0][0].startswith("/")
        query: dict[str, str] = {}
        if self.hosts and not plain:
            query["host"] = ",".join(host for host, _ in self.hosts)
            ports = [port or 5432 for _, port in self.hosts]
            if any(port for _, port in self.hosts):
                query["port"] = ",".join(map(str, ports))
        if self.options:
            pairs = "&".join(f"{name}={quote(value, safe='')}" for name, value in self.options)
            query["dsn"] = f"postgresql://?{pairs}"
        return URL.create(
            "postgresql+asyncpg",
            username=self.user,
            password=self.password,
            host=self.hosts[0][0] if plain else None,
            port=self.hosts[0][1] if plain else None,
            database=self.database,
            query=query,
        ).render_as_string(hide_password=False)

    @property
    def libpq(self) -> str:
        """The address for PostgreSQL's own tools, without the password, which has no place there.

        Keywords and values ("34.1.1.1. Keyword/Value Connection Strings").
        """
        words = dict(self.options)
        if self.hosts:
            words["host"] = ",".join(host for host, _ in self.hosts)
            if any(port for _, port in self.hosts):  # else as asyncpg has it: PGPORT, or 5432
                words["port"] = ",".join(str(port or 5432) for _, port in self.hosts)
        words |= {"user": self.user or "", "dbname": self.database or ""}
        return " ".join(f"{name}={_quoted(value)}" for name, value in words.items() if value)


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def database_url(text: str) -> DatabaseUrl:
    """Read PostgreSQL's address. Raises ValueError, which repeats nothing of it."""
    scheme, colon, rest = text.strip().partition("://")
    if not colon or scheme not in POSTGRES_SCHEMES:
        raise ValueError("must begin with postgresql://")
    rest, options = split_query(rest, TAKEN | OURS | PLACES | {"ssl", "channel_binding"})
    authority, _, path = rest.partition("/")
    user, password, places = split_userinfo(authority)
    hosts = _hosts(places) or _hosts(options.get("host", ""), options.get("port", ""))
    return DatabaseUrl(
        user or options.get("user"),
        password if password is not None else options.get("password"),
        hosts,
        unquote(path) or options.get("dbname") or None,
        _tls(options),
    )


def _tls(options: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Options as asyncpg takes them, and authorities where they are verified by."""
    kept = {name: value for name, value in options.items() if name in TAKEN}
    if "ssl" in options:  # JDBC's and asyncpg's own
        kept.setdefault("sslmode", {"true": "verify-full"}.get(options["ssl"], options["ssl"]))
    mode = kept.get("sslmode")
    if mode is not None and mode not in SSL_MODES:
        raise ValueError(f"sslmode must be one of {', '.join(SSL_MODES)}")
    if options.get("channel_binding") == "require" and mode != "verify-full":
        raise ValueError("channel_binding=require needs sslmode=verify-full, which proves as much")
    if mode in VERIFIED and kept.get("sslrootcert", "system") == "system":
        own = Path("~/.postgresql/root.crt").expanduser()
        if "sslrootcert" in kept or not own.exists():
            kept["sslrootcert"] = _authorities()
    return tuple(sorted(kept.items()))


def _authorities() -> str:
    """A file with the system's certificate authorities, as libpq's `sslrootcert=system`."""
    known = (ssl.get_default_verify_paths().cafile, *BUNDLES)
    for name in known:
        if name and Path(name).is_file():
            return name
    raise ValueError("this machine has no file of authorities: name one with sslrootcert=/path.pem")


def _hosts(text: str, ports: str = "") -> tuple[tuple[str, int | None], ...]:
    """`a:1,b:2`, or names and ports each on their own."""
    found = [split_host(one) for one in text.split(",")] if text else []
    apart = [_port(one) for one in ports.split(",")] if ports else []
    if len(apart) == 1:
        apart *= max(1, len(found))
    if apart and not found:
        found = [("localhost", None)]
    if apart and len(apart) != len(found):
        raise ValueError("needs as many ports as hosts, or one")
    joined = zip(found, apart or [None] * len(found), strict=True)
    return tuple((host, own or port) for (host, own), port in joined)


def split_host(text: str) -> tuple[str, int | None]:
    host, colon, port = text.strip().rpartition(":")
    if text.startswith("["):
        inner, closed, after = text[1:].partition("]")
        if not closed:
            raise ValueError("an IPv6 address ends with ]")
        return inner, _port(after[1:]) if after else None
    if not colon or "/" in port:
        return unquote(text.strip()), None
    return unquote(host), _port(port)


# --- Redis and Valkey ----------------------------------------------------------------------------

CERT_REQS: Final = {
    "none": ssl.CERT_NONE,
    "cert_none": ssl.CERT_NONE,
    "optional": ssl.CERT_OPTIONAL,
    "cert_optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
    "cert_required": ssl.CERT_REQUIRED,
}
FILES: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
REDIS_OPTIONS: Final = ("db", "ssl_cert_reqs", "ssl_check_hostname", *FILES)
SENTINEL_OPTIONS: Final = ("sentinel_user", "sentinel_password")
REDIS_SCHEMES: Final = ("redis", "rediss", "redis+sentinel", "rediss+sentinel", "unix")
SENTINEL_WITHIN: Final = 1.0
"""Seconds for which one sentinel is waited for, before the next is asked."""


@frozen
class RedisUrl:
    """Where Redis is: `path` of a socket, or `host` and `port`. `tls`: options of redis-py.

    Or `service`, whose master the `sentinels` (name, port) know, signed in to by `sentinel_login`.
    """

    host: str
    port: int
    path: str | None
    user: str | None
    password: str | None
    db: int
    tls: Mapping[str, Any] | None
    service: str | None = None
    sentinels: tuple[tuple[str, int], ...] = ()
    sentinel_login: tuple[str | None, str | None] = (None, None)

    @property
    def client(self) -> dict[str, Any]:
        """Arguments of redis-py's client; with a `service` those of its connections."""
        args: dict[str, Any] = {"username": self.user, "password": self.password, "db": self.db}
        if self.path is not None:
            return args | {"unix_socket_path": self.path}
        if self.service is None:
            args |= {"host": self.host, "port": self.port}
        return args if self.tls is None else args | {"ssl": True, **self.tls}

    @property
    def sentinel_client(self) -> dict[str, Any]:
        """Arguments of redis-py's clients of sentinels."""
        user, password = self.sentinel_login
        args: dict[str, Any] = {"username": user, "password": password}
        args |= dict.fromkeys(("socket_timeout", "socket_connect_timeout"), SENTINEL_WITHIN)
        return args if self.tls is None else args | {"ssl": True, **self.tls}

    @property
    def transport_options(self) -> dict[str, Any]:
        """Celery's `broker_transport_options` that this address asks for."""
        if self.service is None:
            return {}
        return {"master_name": self.service, "sentinel_kwargs": self.sentinel_client}

    @property
    def broker(self) -> dict[str, Any]:
        """Settings of Celery: the broker's address, and what TLS is to verify."""
        signed_in = ""
        if self.user or self.password:
            signed_in = f"{quote(self.user or '', safe='')}:{quote(self.password or '', safe='')}@"
        if self.path is not None:
            path = quote(self.path, safe="/")
            return {"broker_url": f"redis+socket://{signed_in}{path}?virtual_host={self.db}"}
        places, scheme = self.sentinels, "sentinel"
        if self.service is None:
            places, scheme = ((self.host, self.port),), "redis" if self.tls is None else "rediss"
        urls = (f"{scheme}://{signed_in}{in_url(*one)}/{self.db}" for one in places)
        url: dict[str, Any] = {"broker_url": ";".join(urls)}
        return url if self.tls is None else url | {"broker_use_ssl": dict(self.tls)}


def in_url(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def redis_url(text: str, *, ca_file: Path | None = None) -> RedisUrl:
    """Read Redis's address: `redis://`, `rediss://` or `unix:///path.sock`, `?db=` or `/db`.

    Or by sentinels: `redis+sentinel://user:password@host:port,host:port/service/db`, `rediss+…`.
    TLS is verified unless the address says `ssl_cert_reqs=none`. Raises ValueError, which says what
    is wrong and repeats nothing.
    """
    scheme, colon, rest = text.strip().partition("://")
    if not colon or scheme not in REDIS_SCHEMES:
        raise ValueError("must begin with redis://, rediss:// or unix:///path.sock")
    known = (*REDIS_OPTIONS, *(SENTINEL_OPTIONS if scheme.endswith("+sentinel") else ()))
    rest, options = split_query(rest, known)
    authority, slash, path = rest.partition("/")
    user, password, place = split_userinfo(authority)
    if scheme == "unix":
        if place or not path:
            raise ValueError("the path of a socket begins with a third slash: unix:///run/x.sock")
        return RedisUrl("", 0, slash + unquote(path), user, password, _db("", options), None)
    tls = _redis_tls(options, ca_file) if scheme.startswith("rediss") else None
    if scheme.endswith("+sentinel"):
        return _by_sentinels(user, password, place, path, options, tls)
    host, port = split_host(place)
    return RedisUrl(
        host or "localhost", port or 6379, None, user, password, _db(path, options), tls
    )


def _by_sentinels(
    user: str | None,
    password: str | None,
    places: str,
    path: str,
    options: Mapping[str, str],
    tls: Mapping[str, Any] | None,
) -> RedisUrl:
    service, _, db = path.partition("/")
    hosts = _hosts(places)
    if not service or not all(host for host, _ in hosts) or not hosts:
        raise ValueError("must look like redis+sentinel://host:26379,host:26379/service")
    return RedisUrl(
        "", 0, None, user, password, _db(db, options), tls,
        service=unquote(service),
        sentinels=tuple((host, port or 26_379) for host, port in hosts),
        sentinel_login=(options.get("sentinel_user"), options.get("sentinel_password")),
    )  # fmt: skip


def _redis_tls(options: Mapping[str, str], ca_file: Path | None) -> dict[str, Any]:
    asked = options.get("ssl_cert_reqs", "required").lower()
    if asked not in CERT_REQS:
        raise ValueError("ssl_cert_reqs must be required, optional or none")
    tls: dict[str, Any] = {name: options[name] for name in FILES if name in options}
    if ca_file is not None:
        tls.setdefault("ssl_ca_certs", str(ca_file))
    verified = CERT_REQS[asked] is not ssl.CERT_NONE
    by_name = options.get("ssl_check_hostname", "true").lower() not in {"false", "0", "no"}
    return tls | {"ssl_cert_reqs": CERT_REQS[asked], "ssl_check_hostname": verified and by_name}


def _db(path: str, options: Mapping[str, str]) -> int:
    text = options.get("db") or path.strip("/") or "0"
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise ValueError("the database of Redis must be a number, as in redis://host:6379/0")
    return int(text)


# --- what both have in common ---------------------------------------------------------------------


def split_query(rest: str, known: Collection[str]) -> tuple[str, dict[str, str]]:
    """What stands before the options, and these. Raises ValueError for one that is not `known`.

    Of an unknown one no word is repeated: after a bare ? it may be the rest of a password.
    """
    if "#" in rest:
        raise ValueError("must hold no #" + PASSWORD_HINT)
    before, _, query = rest.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    for n, name in enumerate(options, 1):
        if name not in known:
            near = nearest(name[:40], sorted(known))
            meant = f"did you mean {near}?" if near else f"it takes {_listed(known)}"
            raise ValueError(f"option {n} is none of this address: {meant}" + PASSWORD_HINT)
    return before, options


def _listed(known: Collection[str]) -> str:
    return ", ".join(sorted(known)) or "none"


def split_userinfo(authority: str) -> tuple[str | None, str | None, str]:
    signed_in, _, place = authority.rpartition("@")
    user, colon, password = signed_in.partition(":")
    return unquote(user) or None, unquote(password) if colon else None, place


def _port(text: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:6]) <= 65_535:
        raise ValueError("the port must be a number from 1 to 65535" + PASSWORD_HINT)
    return int(text)
