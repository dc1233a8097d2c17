"""Metrics of several processes that serve one address: whichever is asked says the sum."""

import os
import subprocess
import sys

from app.infra.exposition import for_several_processes

COUNTS = """
import sys
from app.infra.observe import RINGS, STREAMS
RINGS.labels("taken").inc(int(sys.argv[1]))
STREAMS.set(int(sys.argv[1]))
print("counted", flush=True)
sys.stdin.read()
"""
ASKS = "from app.infra.exposition import exposition; print(exposition().decode())"


def asked() -> str:
    return subprocess.run(
        [sys.executable, "-c", ASKS], check=True, capture_output=True, text=True
    ).stdout


def test_processes_count_together_and_the_dead_hold_nothing() -> None:
    with for_several_processes():
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", COUNTS, str(n)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
            for n in (2, 3)
        ]  # fmt: skip
        for one in processes:
            assert one.stdout is not None
            assert one.stdout.readline() == "counted\n"
        text = asked()
        assert 'ringline_rings_total{outcome="taken"} 5.0' in text
        assert "ringline_streams 5.0" in text
        processes[0].communicate("")
        text = asked()
        assert 'ringline_rings_total{outcome="taken"} 5.0' in text
        assert "ringline_streams 3.0" in text
        processes[1].communicate("")
    assert "PROMETHEUS_MULTIPROC_DIR" not in os.environ
