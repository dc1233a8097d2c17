"""Heads of answers: any headers at all."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.http2.head import Head, is_plain_ok, seconds_until, well_formed

names = st.sampled_from([b":status", b"retry-after", b"apns-unique-id", b"apns-id", b"x"])
values = st.binary(max_size=40) | st.sampled_from([b"200", b"410", b"100", b"7"])


@given(st.lists(st.tuples(names, values, st.booleans()), max_size=6))
def test_any_headers_are_an_answer_or_none(block) -> None:
    found = Head.read(block)
    if found is not None:
        assert 100 <= found.code <= 999
        assert not (found.malformed and found.fields)


plain = st.tuples(
    st.sampled_from([(b":status", b"200", True), (b":status", b"201", True), (b"x", b"200", True)]),
    st.tuples(names, values | st.sampled_from([b"a\0", b"\r", b"a\nb"]), st.booleans()),
).map(list)


@given(plain | st.lists(st.tuples(names, values, st.booleans()), max_size=3))
@example([(b":status", b"200", True), (b"apns-id", b"1", False)])
def test_what_is_seen_at_a_glance_to_be_plainly_taken_reads_so(block) -> None:
    if is_plain_ok(block):
        assert Head.read(block) == Head(200, block[1:])
    elif len(block) == 2 and block[0][:2] == (b":status", b"200") and block[1][0] == b"apns-id":
        assert Head.read(block) == Head(200, [], malformed=True)


ODD = {
    "NUL": [(b"apns-unique-id", b"a\0b")],
    "CR": [(b"retry-after", b"1\r")],
    "LF in a field of no meaning": [(b"x-a", b"\n")],
    "an upper-case name": [(b"Apns-Id", b"1")],
    "a name that is none": [(b"a b", b"1")],
    "no name": [(b"", b"1")],
    "another status": [(b":status", b"200")],
    "another pseudo-header": [(b":path", b"/")],
    "a connection header": [(b"transfer-encoding", b"chunked")],
}


@pytest.mark.parametrize("what", ODD)
def test_of_a_malformed_answer_the_status_is_taken(what: str) -> None:
    fields = [(name, value, False) for name, value in ODD[what]]
    status = (b":status", b"200", False)
    unique = (b"apns-unique-id", b"u", False)
    taken = Head.read([status, unique, *fields])
    assert taken == (None if what == "another status" else Head(200, [], malformed=True))
    assert Head.read([*fields, status]) is None
    assert not well_formed(fields)
    assert Head.read([status, (b"x-a", b"caf\xe9 \t", True)]) is not None


@given(st.text(max_size=60) | st.datetimes().map(lambda x: x.strftime("%a, %d %b %Y %H:%M:%S GMT")))
@example("Mon, 01 Jan 99999 00:00:00 GMT")
@example("Mon, 01 Jan 0001 00:00:00 +9999")
@example("²")
@example(" 12 ")
def test_any_retry_after_is_seconds_or_none(text: str) -> None:
    found = seconds_until(text.encode(), lambda: 1_790_000_000.0)
    assert found is None or 0 <= found <= 86_400
