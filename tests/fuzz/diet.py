"""What every entry point is fed: texts, numbers and cursors that something below cannot hold."""

from typing import Any, Final

TEXTS: Final = (
    "\x00", "a\x00b", "\ud800", "x\udfffy", "\U0010ffff", "\u202e\u2028", "\ufeff", "", " ", ".", "..",
    "a/b", "%00", "%2e%2e", "../..", "a" * 300, "a" * 100_000, "{{uuid}}", "{{" * 2_000, "'\"<>\\;--",
    "null", "NaN", "1e400", "\r\nX-Y: z", "🏳️‍⚧️" * 50, "=?utf-8?q?x?=", "user_id", "server",
)  # fmt: skip
NUMBERS: Final = (
    2**31, 2**31 - 1, 2**53 + 1, 2**63 - 1, 2**63, 2**70, -(2**63) - 1, 10**400, -1, 0, 0.1, 1e308,
    float("inf"), float("nan"), 253_402_300_800,
)  # fmt: skip
CURSORS: Final = (
    "0001-01-01T00:00:00+00:00~x", "9999-12-31T23:59:59-23:59~x", "2026-01-01~x", "~", "x~",
    "2026-01-01T00:00:00+00:00~\x00", "2026-01-01T00:00:00+00:00~", f"{'9' * 20}~x",
    "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
)  # fmt: skip
EVERYTHING: Final[tuple[Any, ...]] = (
    *TEXTS, *NUMBERS, *CURSORS, None, True, [], {}, [[[[]]]], {"\x00": "\ud800"}, [""] * 5_000,
)  # fmt: skip
