"""Another clock for one process: a shim that gcc makes, else libfaketime where it is installed.

libfaketime comes second: it also stands between a process and `clock_nanosleep`, so that Python's
`time.sleep` fails (EINVAL) now and then, which is no fault of another clock's.
"""

import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long off(void) {
    static long seconds; static int known;
    if (!known) { const char *s = getenv("CHAOS_SKEW"); seconds = s ? atol(s) : 0; known = 1; }
    return seconds;
}
int clock_gettime(clockid_t id, struct timespec *t) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int r = real(id, t);
    if (r == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) t->tv_sec += off();
    return r;
}
time_t time(time_t *t) {
    struct timespec n; clock_gettime(CLOCK_REALTIME, &n);
    if (t) *t = n.tv_sec;
    return n.tv_sec;
}
int gettimeofday(struct timeval *restrict v, void *restrict z) {
    struct timespec n; clock_gettime(CLOCK_REALTIME, &n);
    v->tv_sec = n.tv_sec; v->tv_usec = n.tv_nsec / 1000;
    return 0;
}
"""


def environment(seconds: int) -> dict[str, str]:
    """What a process is to be started with for its clock to be so many seconds off."""
    library, is_faketime = _library()
    if is_faketime:
        return {
            "LD_PRELOAD": str(library),
            "FAKETIME": f"{seconds:+d}s",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_NO_CACHE": "1",
        }
    return {"LD_PRELOAD": str(library), "CHAOS_SKEW": str(seconds)}


def why_not() -> str | None:
    """Why no process can have another clock here; None when it can."""
    try:
        _library()
    except (OSError, LookupError, subprocess.SubprocessError):
        return "neither libfaketime nor a C compiler is here"
    return None


@cache
def _library() -> tuple[Path, bool]:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        for found in sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")):
            return found, True
        raise LookupError("no compiler")
    folder = Path(tempfile.mkdtemp(prefix="skew-"))
    source = folder / "skew.c"
    source.write_text(SHIM)
    made = folder / "skew.so"
    subprocess.run(
        [compiler, "-O1", "-shared", "-fPIC", "-o", str(made), str(source), "-ldl"],
        check=True, capture_output=True,
    )  # fmt: skip
    return made, False
