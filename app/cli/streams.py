"""Standard streams that whoever started a command has closed (`>&-`)."""

import os
import sys


def all_open() -> None:
    """Have standard input, output and error open, on nothing where they were closed.

    Python has None for one that was closed, and the next file or connection that is opened gets
    its number: what is written to it then goes to a stranger.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115
