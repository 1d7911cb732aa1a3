"""Incoming requests: within limits, and with one interpretation only."""

import pytest

from homeport.api.http.request_reader import (
    FRAMING_BYTES,
    HEAD_BYTES,
    HEADERS,
    LINE_BYTES,
    RequestReader,
    head_length,
)
from homeport.domain.errors import HeadTooLarge, HomeportError, InvalidRequest, TargetTooLong

CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def get(*headers: bytes, target: bytes = b"/", version: bytes = b"1.1") -> bytes:
    return b"\r\n".join([b"GET " + target + b" HTTP/" + version, *headers, b"", b""])


def test_a_head_is_found_where_it_ends() -> None:
    """The length of a head is known once its empty line arrives, whatever follows."""
    head = get(b"Host: a")
    assert head_length(head + b"and a body\r\n\r\n") == len(head)
    assert [head_length(head[:n]) for n in range(len(head))] == [None] * len(head)


LONG: list[tuple[bytes, type[HomeportError]]] = [
    (b"GET /" + b"a" * LINE_BYTES, TargetTooLong),
    (get(target=b"/" + b"a" * LINE_BYTES), TargetTooLong),
    (get(*[b"A: b"] * (HEADERS + 1)), HeadTooLarge),
    (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * (HEADERS + 1), HeadTooLarge),
    (get(b"A: " + b"b" * HEAD_BYTES), HeadTooLarge),
    (b"GET / HTTP/1.1\r\nA: " + b"b" * HEAD_BYTES, HeadTooLarge),
    (b"GET / HTTP/1.1\r\n" + b"b" * HEAD_BYTES, HeadTooLarge),
]


@pytest.mark.parametrize(("data", "error"), LONG)
def test_heads_are_bounded(data: bytes, error: type[HomeportError]) -> None:
    """A request line, a number of headers or a head over its limit is refused, complete or not."""
    with pytest.raises(error):
        head_length(data)


@pytest.mark.parametrize(
    "data",
    [b"\x16\x03\x01\x02\x00\x01", b"\0", b"GET / HTTP/1.1\n", b"GET / HTTP/1.1\nHost: a\n\n", b"GET /\r\nA: b\n"],
)
def test_what_is_no_head_is_refused_before_it_ends(data: bytes) -> None:
    """A client that speaks TLS, or uses other line ends, is refused at once, not after the timeout of heads."""
    with pytest.raises(InvalidRequest):
        head_length(data)


def test_heads_up_to_their_limits_are_read() -> None:
    """The largest allowed number of headers, and the longest, are read."""
    head = get(b"Host: a", *[b"A: b"] * (HEADERS - 2), b"B: " + b"c" * 30_000)
    assert head_length(head) == len(head)
    assert len(RequestReader(head).headers) == HEADERS


AMBIGUOUS = [
    get(b"Host: a", b"Host: a"),
    get(b"Host: a", b"hOST: b"),
    get(b"Host: a", target=b"http://b/v1/models"),
    get(b"Host: a:1", target=b"http://a:2/"),
    get(b"Host: a", target=b"http://a:x/"),
    get(b"Host: a", target=b"ftp://a/"),
    get(b"Host: a", target=b"a:80"),
    get(b"Host: a", b" folded"),
    get(b"Host: a", b"A: b", b"\tfolded"),
    get(b"Host : a"),
    get(b"Host: a", b"A: b\rc"),
    get(b"Host: a", b"A: b\0c"),
    get(b"Host: a", b"Content-Length: 1", b"Content-Length: 1"),
    get(b"Host: a", b"Content-Length: 1, 1"),
    get(b"Host: a", b"Content-Length: +1"),
    get(b"Host: a", b"Content-Length: -1"),
    get(b"Host: a", b"Content-Length: 1" + b"0" * 30),
    get(b"Host: a", b"Content-Length: 1", b"Transfer-Encoding: chunked"),
    get(b"Host: a", b"Transfer-Encoding: chunked, gzip"),
    get(b"Host: a", version=b"2.0"),
    get(b"Host: a", version=b"0.9"),
    get(b"Host: a", version=b"1.1 x"),
    get(b"Host: a", target=b"/\xc3\xa9"),
    b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
    b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n\n\r\n\r\n",
]


@pytest.mark.parametrize("head", AMBIGUOUS, ids=lambda head: repr(head[:70]))
def test_what_could_be_read_in_two_ways_is_refused(head: bytes) -> None:
    """Invalid heads, two hosts, two lengths or folded lines are refused: a proxy could interpret them differently."""
    with pytest.raises(InvalidRequest):
        RequestReader(head)


SAME = [
    (get(b"Host: a", target=b"http://a/b?c=d"), b"/b", b"c=d"),
    (get(b"Host: A:80", target=b"HTTP://a/b"), b"/b", b""),
    (get(b"Host: [::1]:8080", target=b"http://[::1]:8080"), b"/", b""),
    (get(target=b"http://a:8080/b", version=b"1.0"), b"/b", b""),
    (get(b"Host: a", target=b"/b//c/?d#e"), b"/b//c/", b"d"),
    (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", b"*", b""),
]


@pytest.mark.parametrize(("head", "path", "query"), SAME)
def test_targets_may_name_the_host_they_are_sent_to(head: bytes, path: bytes, query: bytes) -> None:
    """A whole URL is a target like its path, if its host equals the Host header, or there is none."""
    incoming = RequestReader(head)
    assert (incoming.raw_path, incoming.query) == (path, query)
    assert [name for name, _ in incoming.headers if name == b"host"] == [b"host"]


def test_paths_are_unquoted_once() -> None:
    """An application receives the decoded path, and the bytes as they were sent."""
    incoming = RequestReader(get(b"Host: a", target=b"/%C3%A9%2541?x=%41"))
    assert (incoming.path, incoming.raw_path, incoming.query) == ("/é%41", b"/%C3%A9%2541", b"x=%41")


@pytest.mark.parametrize("offer", [b"h2c", b"websocket", b"TLS/1.2, h2c"])
def test_offers_of_other_protocols_are_ignored(offer: bytes) -> None:
    """An Upgrade header is dropped, and the body is read as without it."""
    head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUPGRADE : ".replace(b" : ", b": ")
    incoming = RequestReader(head + offer + b"\r\nHTTP2-Settings: AAMAAABkAAQ\r\nContent-Length: 2\r\n\r\n")
    assert incoming.feed(b"hiGET") == (b"hi", b"GET")
    assert incoming.is_complete
    assert incoming.keeps_alive


def test_chunks_are_put_together() -> None:
    """A body in chunks is read however its bytes are split, without extensions and trailers."""
    sent = b"3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nT: u\r\nHost: b\r\n\r\n"
    for size in (1, 2, 7, len(sent)):
        incoming = RequestReader(CHUNKED)
        parts = [incoming.feed(sent[start : start + size])[0] for start in range(0, len(sent), size)]
        assert b"".join(parts) == b"abcde"
        assert (incoming.is_complete, incoming.has_more, len(incoming.headers)) == (True, False, 2)


OFFER = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"


@pytest.mark.parametrize("more", [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"rubbish\r\n", b"x" * 100_000, OFFER])
def test_what_follows_chunks_in_one_piece_is_noticed(more: bytes) -> None:
    """The next request in the same piece is not read as a part of this one."""
    incoming = RequestReader(CHUNKED)
    assert incoming.feed(b"1\r\na\r\n0\r\n\r\n" + more) == (b"a", b"")
    assert incoming.is_complete
    assert incoming.has_more


def test_the_next_requests_body_is_none_of_a_chunked_ones() -> None:
    """A complete request after the end of a chunked body, in the same piece, does not extend the body."""
    incoming = RequestReader(CHUNKED)
    after = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nevil"
    assert incoming.feed(b"4\r\ngood\r\n0\r\n\r\n" + after) == (b"good", b"")
    assert incoming.has_more


BROKEN = [
    b"zz\r\n",
    b"-1\r\n",
    b"0x3\r\nabc\r\n",
    b"3\r\nabcd\r\n",
    b"3\r\nabc",
    b"3\n\nabc\r\n",
    b"1" + b"0" * 20 + b"\r\n",
    b"3;" + b"x" * FRAMING_BYTES * 2,
    b"0\r\n" + b"T: u\r\n" * FRAMING_BYTES,
    b"0\r\nT: " + b"u" * FRAMING_BYTES * 2,
    b"0\r\nT : u\r\n\r\n",
]


@pytest.mark.parametrize("sent", BROKEN, ids=lambda sent: repr(sent[:30]))
def test_broken_chunks_are_refused(sent: bytes) -> None:
    """Invalid sizes, missing line ends, and endless extensions or trailers are no body."""
    incoming = RequestReader(CHUNKED)
    if sent == b"3\r\nabc":
        assert incoming.feed(sent) == (b"abc", b"")
        sent = b"XX"
    with pytest.raises(InvalidRequest) as caught:
        incoming.feed(sent)
    assert len(caught.value.message) < 200
