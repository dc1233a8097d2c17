"""A process that owns an embedded server for a test, as whichever user it is run.

    owner.py (Postgres|Valkey) FOLDER [OPTIONS AS JSON]     FOLDER "-": throw-away

It starts the server, and again at each line "start" on its standard input; "stop" stops it; the end
of input closes it. Each time it answers with one line of JSON.
"""

import json
import os
import sys
from pathlib import Path

from devkit import embedded


def main() -> None:
    kind, folder, *more = sys.argv[1:]
    options = json.loads(more[0]) if more else {}
    server = getattr(embedded, kind)(None if folder == "-" else Path(folder), **options)
    answer(server.start, server)
    for line in sys.stdin:
        answer({"start": server.start, "stop": server.stop}[line.strip()], server)
    server.close()


def answer(step, server) -> None:
    try:
        step()
    except embedded.EmbeddedError as error:
        said = {"error": str(error)}
    else:
        said = {
            "owner": os.getpid(),
            "uid": os.geteuid(),
            "pid": server.pid,
            "running": server.is_running(),
            "url": server.url,
            "home": str(server.home),
            "sockets": str(server.sockets),
            "log": str(server.log),
        }
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
