"""One incoming request: its head, found and parsed within limits, then its body.

Knows nothing of sockets, times or responses. llhttp (httptools) is the parser. It receives only complete heads, because
it copies what it has of a header for each new piece, and small pieces of chunked bodies, because it does not limit
chunk extensions and trailers.
"""

import re
from urllib.parse import unquote, urlsplit

import httptools

from homeport.domain.errors import HeadTooLarge, InvalidRequest, TargetTooLong

HEAD_BYTES = 32_768
LINE_BYTES = 8_192
HEADERS = 100
FRAMING_BYTES = 32_768
"""The limit of consecutive chunk extensions or trailers."""

_PIECE_BYTES = 16_384
_END = b"\r\n\r\n"
_UPGRADE = re.compile(rb"\r\nupgrade[ \t]*:[^\r\n]*(?=\r\n)", re.IGNORECASE)
_ABSOLUTE = re.compile(rb"(https?)://([^/?#]*)", re.IGNORECASE)
_VERSIONS = ("1.0", "1.1")


def head_length(data: bytes) -> int | None:
    """Return the length of the head at the beginning of `data`; None while it is incomplete.

    Raises TargetTooLong or HeadTooLarge as soon as the head is known to be over a limit, and InvalidRequest as soon as
    it is known to be no head: a client that starts TLS, or uses other line ends, would wait for a response in vain.
    """
    if data and not data[:1].isalpha():
        raise _broken("it does not begin with a method")
    end = data.find(_END, 0, HEAD_BYTES)
    if data.find(b"\r\n", 0, LINE_BYTES) < 0 and len(data) >= LINE_BYTES:
        raise TargetTooLong(f"The request line is over the limit of {LINE_BYTES} bytes.")
    n_lines = data.count(b"\n", 0, HEAD_BYTES if end < 0 else end)
    if n_lines > HEADERS:
        raise HeadTooLarge(f"The request has more than {HEADERS} headers.")
    if n_lines != data.count(b"\r\n", 0, HEAD_BYTES if end < 0 else end):
        raise _broken("a line of its head does not end in CR LF")
    if end >= 0:
        return end + len(_END)
    if len(data) >= HEAD_BYTES:
        raise HeadTooLarge(f"The headers are over the limit of {HEAD_BYTES} bytes.")
    return None


class RequestReader:
    """One request. Made from its whole head; `feed` parses the body. `headers` have lower-case names.

    `length` is the body's declared length, None if it is chunked. Raises InvalidRequest for invalid HTTP, and for
    requests that another server could interpret differently.
    """

    def __init__(self, head: bytes) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.target = b""
        self.length: int | None = 0
        self.expects_continue = False
        self.is_complete = False
        self.has_more = False  # bytes after the end of a chunked body, which are lost
        self._framing = 0
        self._body: list[bytes] = []
        self._in_head = True
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        # Offers of another protocol are ignored (RFC 9110, 7.8); the parser would treat the body as that protocol.
        self._parse(_UPGRADE.sub(b"", head))
        if self._in_head:
            raise _broken("it has no request line")
        if self.version not in _VERSIONS:
            raise InvalidRequest("Only HTTP/1.1 and HTTP/1.0 are supported.")
        self._read_headers()
        self._read_target()

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Parse `data`; return its part of the body and the bytes after the body's end."""
        if self.length is not None:
            part, rest = data[: self.length], data[self.length :]
            self.length -= len(part)
            self.is_complete = not self.length
            return part, rest
        for start in range(0, len(data), _PIECE_BYTES):
            piece, n_parts = data[start : start + _PIECE_BYTES], len(self._body)
            self._parse(piece)
            self._framing = self._framing + len(piece) if len(self._body) == n_parts else 0
            if self._framing > FRAMING_BYTES:
                raise InvalidRequest(f"Chunk extensions or trailers are over the limit of {FRAMING_BYTES} bytes.")
            if self.is_complete:
                self.has_more |= start + _PIECE_BYTES < len(data)
                break
        body = b"".join(self._body)
        self._body.clear()
        return body, b""

    def _parse(self, data: bytes) -> None:
        if self._parser is None:
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserUpgrade, httptools.HttpParserError) as error:
            if self.length is None and self.is_complete:  # the error is after a chunked body
                self.has_more = True
            elif isinstance(error, httptools.HttpParserUpgrade):
                raise InvalidRequest("The method CONNECT is not supported.") from error
            else:
                raise _broken(str(error)) from error
        if self.is_complete:
            self._drop_parser()

    def _drop_parser(self) -> None:
        self._parser = None  # it refers to this object's methods: the cycle would wait for the garbage collector

    def on_url(self, url: bytes) -> None:
        """Append to the request's target."""
        if self._in_head:
            self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header; trailers are dropped."""
        if self._in_head:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Read the head from the parser."""
        if self._in_head and self._parser is not None:
            self._in_head = False
            self.version = self._parser.get_http_version()
            self.method = self._parser.get_method().decode("ascii")
            self.keeps_alive = self.version == "1.1" and self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        """Add a part of the body, unless it belongs to the next request in the same piece."""
        if not self.is_complete:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """Note that the request is complete."""
        self.is_complete = True

    def on_message_begin(self) -> None:
        """Note that the next request starts in the same piece as the end of a chunked body."""
        self.has_more = self.is_complete

    def _read_headers(self) -> None:
        n_hosts = 0
        for name, value in self.headers:
            if name == b"host":
                n_hosts += 1
            elif name == b"content-length":
                self.length = int(value)
            elif name == b"transfer-encoding":
                self.length = None
            elif name == b"expect":
                self.expects_continue = self.version == "1.1" and value.lower() == b"100-continue"
        if n_hosts > 1:
            raise InvalidRequest("The request has more than one Host header.")
        if self.length:
            self._drop_parser()

    def _read_target(self) -> None:
        target = self.target
        if not target.startswith((b"/", b"*")):
            target = self._without_authority(target)
        path, _, self.query = target.partition(b"#")[0].partition(b"?")
        self.raw_path = path or b"/"
        self.path = unquote(self.raw_path.decode("ascii"))

    def _without_authority(self, target: bytes) -> bytes:
        """Return the path of a target that includes the host, which must equal the Host header."""
        found = _ABSOLUTE.match(target)
        if not found:
            raise InvalidRequest("The request target is neither a path nor a URL.")
        host = next((value for name, value in self.headers if name == b"host"), None)
        if host is None:
            self.headers.append((b"host", found[2]))
        elif _authority(host, found[1]) != _authority(found[2], found[1]):
            raise InvalidRequest("The request target names another host than the Host header.")
        return target[found.end() :]


def _authority(text: bytes, scheme: bytes) -> tuple[str | None, int]:
    try:
        parts = urlsplit("//" + text.decode("latin-1"))
        return parts.hostname, parts.port or (443 if scheme.lower() == b"https" else 80)
    except ValueError as error:
        raise InvalidRequest("The Host header or the request target is not a valid host and port.") from error


def _broken(why: str) -> InvalidRequest:
    return InvalidRequest(f"The request could not be parsed as HTTP: {why[:100]}.")
