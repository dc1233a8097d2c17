"""Many commands by one process, each as if it were alone: to start one for each costs a second.

    python -m tests.cli.commands FILE

FILE holds, as JSON, pairs of a command's words and what it has in its environment besides. A line of
JSON is printed of each: words, status, standard output, standard error.
"""

import contextlib
import io
import json
import os
import sys
from pathlib import Path

from app.cli import answers, base, main
from app.infra.settings import get_settings


def said(stream: io.TextIOWrapper) -> str:
    """All that was written, as who reads UTF-8 sees it."""
    stream.flush()
    written = stream.buffer
    assert isinstance(written, io.BytesIO)
    return written.getvalue().decode()


plain = dict(os.environ)
for words, more in json.loads(Path(sys.argv[1]).read_text()):
    os.environ.clear()
    os.environ.update(plain | more)
    get_settings.cache_clear()
    terminal = "ascii" if os.environ.get("LC_ALL") == "POSIX" else "utf-8"
    out, err = (io.TextIOWrapper(io.BytesIO(), terminal, newline="\n") for _ in range(2))
    base.err.file, base.out.file = err, out
    answers._style.json = False
    sys.argv = ["ringline", *words]
    status: object = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as ended:
            status = ended.code or 0
    sys.__stdout__.write(json.dumps([words, status, *map(said, (out, err))]) + "\n")
