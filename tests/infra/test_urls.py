"""Addresses: what is taken can be sent to by the HTTP client; what is not names its part."""

import re

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.infra.urls import BadUrl, http_url

TAKEN = {
    "https://example.com/hooks?a=1&b[]=2": "https://example.com/hooks?a=1&b[]=2",
    "HTTPS://Example.COM/A": "https://example.com/A",
    "https://example.com": "https://example.com",
    "https://example.com?a=1": "https://example.com?a=1",
    "https://example.com/?": "https://example.com/",
    "https://example.com:/": "https://example.com/",
    "https://example.com:8443/": "https://example.com:8443/",
    "https://example.com:443/a": "https://example.com/a",
    "HTTP://[2001:db8::1]:080/": "http://[2001:db8::1]/",
    "https://example.com:80/": "https://example.com:80/",
    "https://example.com./": "https://example.com/",
    "https://my_app/": "https://my_app/",
    "https://bücher.example/hooks": "https://xn--bcher-kva.example/hooks",
    "https://faß.example/": "https://xn--fa-hia.example/",
    "https://例え。example/": "https://xn--r8jz45g.example/",
    "https://example.com/ü/%C3%BC?q=ß": "https://example.com/%C3%BC/%C3%BC?q=%C3%9F",
    'https://example.com/<"{}>': "https://example.com/%3C%22%7B%7D%3E",
    "https://１２７．０．０．１/": "https://127.0.0.1/",
    "https://[2001:DB8::1]:8443/": "https://[2001:db8::1]:8443/",
}
REFUSED = {
    "": "scheme",
    "example.com/hooks": "scheme",
    "//example.com/": "scheme",
    "ftp://example.com/": "scheme",
    " https://example.com/": "scheme",
    "ht\ntps://example.com/": "scheme",
    "https://": "host",
    "https:///hooks": "host",
    "https://:443/": "host",
    "https://?a": "host",
    "https://a b/": "host",
    "https://exa\0mple.com/": "host",
    "https://exam\tple.com/": "host",
    "https://ex%61mple.com/": "host",
    "https://example.com../": "host",
    "https://a..b/": "host",
    "https://-a.example/": "host",
    "https://a!b/": "host",
    "https://☃.example/": "host",
    "https://\ud800.example/": "host",
    "https://[::1": "host",
    "https://[::1]x/": "host",
    "https://[::1%25eth0]/": "host",
    "https://[nonsense]/": "host",
    "https://::1/": "host",
    "https://2130706433/": "host",
    "https://0x7f.1/": "host",
    "https://127.1/": "host",
    "https://1.2.3.256/": "host",
    f"https://{'a' * 64}.example/": "host",
    f"https://{'ü' * 60}.example/": "host",
    f"https://{'a.' * 127}example/": "host",
    "https://example.com:0/": "port",
    "https://example.com:99999/": "port",
    "https://example.com:65536/": "port",
    "https://example.com:-1/": "port",
    "https://example.com:４４３/": "port",
    "https://example.com:+443/": "port",
    "https://example.com:443\r\n/": "host",
    "https://me@example.com/": "user",
    "https://me:secret@example.com/": "user",
    "https://@example.com/": "user",
    "https://example.com/a b": "path",
    "https://example.com/a\r\nX-Evil: 1": "path",
    "https://example.com/\0": "path",
    "https://example.com/a\\b": "path",
    "https://example.com/%zz": "path",
    "https://example.com/\udfff": "path",
    "https://example.com/?a b": "query",
    "https://example.com/#a": "fragment",
    "https://example.com/#": "fragment",
    f"https://example.com/{'a' * 3000}": "length",
    f"https://example.com/{'ü' * 1000}": "length",
}


@pytest.mark.parametrize(("text", "sent"), TAKEN.items())
def test_what_is_taken(text: str, sent: str) -> None:
    assert str(http_url(text)) == sent
    assert str(http_url(sent)) == sent


@pytest.mark.parametrize(("text", "part"), REFUSED.items(), ids=ascii)
def test_what_is_refused_names_its_part(text: str, part: str) -> None:
    with pytest.raises(BadUrl) as caught:
        http_url(text)
    assert caught.value.part == part
    assert str(caught.value).startswith(f"{part}: ")
    assert "secret" not in str(caught.value)


@given(st.from_regex(re.compile(r"https?://[^/]{0,20}.{0,30}", re.DOTALL), fullmatch=True))
def test_whatever_is_taken_the_client_reads_alike(text: str) -> None:
    try:
        url = http_url(text.replace(";", ""))  # httpcore forgets what follows it in a whole address
    except BadUrl:
        return
    theirs = httpcore.URL(str(url))
    assert theirs.host.decode().strip("[]") == url.host
    assert theirs.origin.port == url.effective_port
    assert theirs.target.decode() == url.target
    assert re.fullmatch(r"[\x21-\x7e]+", url.target)
    url.host.encode("idna")  # what the system's resolver does to a name


def test_two_ways_to_write_one_origin() -> None:
    one, other = http_url("https://Ring.Example.com:443/x"), http_url("https://ring.example.com")
    assert one.origin == other.origin
    assert one.origin_header == other.origin_header == "https://ring.example.com"
    assert one.netloc == "ring.example.com"
