"""What the commands say of the lab."""

from devkit.simulator import Simulator
from tests.cli.test_cli import environment, ringline

__all__ = ["environment"]


def at(simulator: Simulator) -> dict[str, str]:
    return {
        "RINGLINE_APNS_PRODUCTION_URL": simulator.production_url,
        "RINGLINE_APNS_SANDBOX_URL": simulator.sandbox_url,
        "RINGLINE_APNS_CA_FILE": str(simulator.ca_file),
        "RINGLINE_SIMULATOR_URL": simulator.control_url,
    }


def line_of(shown: str) -> str:
    return next(line for line in shown.splitlines() if "RINGLINE_SIMULATOR_URL" in line)


def test_doctor_says_where_the_lab_is(environment: dict[str, str], simulator: Simulator) -> None:
    shown = ringline(environment | at(simulator), "doctor", status=1)  # there is no worker
    line = line_of(shown)
    assert line.startswith("ok")
    assert "http://127.0.0.1:8000/lab" in line


def test_doctor_warns_of_a_lab_that_others_can_reach(
    environment: dict[str, str], simulator: Simulator
) -> None:
    public = {"RINGLINE_PUBLIC_URL": "https://ring.example.com"}
    line = line_of(ringline(environment | at(simulator) | public, "doctor", status=1))
    assert line.startswith("!")
    assert "unset it" in line


def test_doctor_says_why_there_is_no_lab(environment: dict[str, str], simulator: Simulator) -> None:
    gone = at(simulator) | {"RINGLINE_SIMULATOR_URL": "http://127.0.0.1:1"}
    line = line_of(ringline(environment | gone, "doctor", status=1))
    assert line.startswith("!")
    assert "no simulator answers" in line
    apple = at(simulator) | {"RINGLINE_APNS_PRODUCTION_URL": "https://api.push.apple.com"}
    line = line_of(ringline(environment | apple, "doctor", status=1))
    assert "pushes go to Apple" in line


def test_doctor_says_nothing_of_a_lab_that_nobody_wants(environment: dict[str, str]) -> None:
    assert "RINGLINE_SIMULATOR_URL" not in ringline(environment, "doctor", status=1)


def test_a_wrong_address_is_named(environment: dict[str, str]) -> None:
    wrong = environment | {"RINGLINE_SIMULATOR_URL": "http://192.0.2.7:9100"}
    shown = ringline(wrong, "doctor", status=1)
    assert "on the loopback" in line_of(shown)


def test_several_processes_are_refused_where_there_is_a_lab(
    environment: dict[str, str], simulator: Simulator
) -> None:
    shown = ringline(environment | at(simulator), "api", "--workers", "2", "--port", "0", status=1)
    assert "--workers 1" in shown
    assert "Traceback" not in shown
