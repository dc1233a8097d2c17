#!/bin/sh
# Prints the Python that .venv is made with: the first of 3.11 or later on PATH that can make an
# environment; in its place the system's own build of that version, where it is at least an eighth
# faster. Python as pyenv builds it has no profile-guided optimisation unless that was asked for: on
# Debian 12 it needs a third more CPU for a loop than Debian's own, and for a ring a sixth to a
# quarter more.
can='import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))'
for found in python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do
    first=$(command -v "$found" 2>/dev/null) && "$first" -c "$can" 2>/dev/null || continue
    # in microseconds of CPU, the best of nine
    loop='
import sys, time
def turn():
    start, kept = time.process_time(), {}
    for number in range(20_000):
        kept[number % 100] = (number, str(number))
    return time.process_time() - start
print("%d.%d" % sys.version_info[:2], int(min(turn() for _ in range(9)) * 1e6))'
    set -- $("$first" -c "$loop")
    own=/usr/bin/python$1
    if [ -x "$own" ] && "$own" -c "$can" 2>/dev/null; then
        took=$2
        set -- $("$own" -c "$loop")
        [ $(($2 * 8)) -lt $((took * 7)) ] && first=$own
    fi
    echo "$first"
    exit
done
