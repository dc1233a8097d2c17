"""Becomes a server that dies with its parent. Run as a script in a fresh interpreter.

A fresh interpreter, and not `preexec_fn`, because running Python between fork and exec may deadlock
when the parent has threads (Python 3.12 and later warn about it). Standard library only: it runs
with `-I -S`, and imports all it needs at once: `nobody` may not read where Python lies.

Arguments: the parent's pid; the signal that the server gets when the parent dies; uid and gid to
take (-1: stay as we are); the reading end of a pipe that the parent holds open (-1: use prctl);
then the program and its arguments.
"""

import contextlib
import ctypes
import os
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
PARENT_GONE = 75
SECONDS_TO_END = 10


def drop_privileges(uid: int, gid: int) -> None:
    """Become that user for good, with no supplementary groups."""
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)


def die_with_parent(parent: int, death_signal: int) -> None:
    """Ask Linux for `death_signal` when the thread that started us ends. A setuid clears it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it died before we had asked
        os._exit(PARENT_GONE)


def leave_watchdog(pipe: int, death_signal: int) -> None:
    """Where there is no prctl: leave a process that signals the server when the pipe breaks.

    It is forked twice, so that the server, whose pid is ours, does not find an unknown child. A
    byte in the pipe says that the server has been seen off: its pid may be another's by then.
    """
    server = os.getpid()
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        os.close(pipe)
        return
    if os.fork():
        os._exit(0)
    os.setsid()  # a signal to the server's group is not meant for us
    with os.scandir("/dev/fd") as entries:
        others = {int(entry.name) for entry in entries} - {pipe}
    for descriptor in others:  # above all the lock, which must end with the server
        with contextlib.suppress(OSError):
            os.close(descriptor)
    if os.read(pipe, 1) == b"":
        with contextlib.suppress(OSError):
            os.kill(server, death_signal)
            os.kill(server, signal.SIGCONT)  # a stopped server would never get to it
            time.sleep(SECONDS_TO_END)
            os.kill(server, signal.SIGKILL)
    os._exit(0)


def main(arguments: list[str]) -> None:
    """Take the steps in the order that keeps them in force, then become the program."""
    parent, death_signal, uid, gid, pipe = (int(word) for word in arguments[:5])
    program = arguments[5:]
    drop_privileges(uid, gid)
    if pipe >= 0:
        leave_watchdog(pipe, death_signal)
    else:
        die_with_parent(parent, death_signal)
    os.umask(0o077)
    # What is ignored stays so through exec: Python ignores two, nohup and shells some more.
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.execv(program[0], program)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
