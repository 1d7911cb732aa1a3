"""Text that callers keep for this server, in a form that they cannot change: compressed, signed, printable.

It is not secret: it holds only what the caller may know. Knows nothing of what the text is.
"""

import base64
import binascii
import hashlib
import hmac
import zlib

from homeport.domain.errors import InvalidRequest

MAX_TEXT_BYTES = 8_000_000
"""The maximum size of a sealed text: more than the answer of any model."""

_VERSION = b"hp1."
_SIGNATURE_BYTES = 32


def seal(secret: bytes, text: str) -> str:
    """Return a token of a text, which `open_sealed` accepts with the same secret. Raises ValueError if it is too long.

    Equal texts have equal tokens.
    """
    data = text.encode("utf-8", "surrogatepass")
    if len(data) > MAX_TEXT_BYTES:
        raise ValueError(f"a sealed text has at most {MAX_TEXT_BYTES} bytes")
    packed = zlib.compress(data)
    return (_VERSION + base64.urlsafe_b64encode(_sign(secret, packed) + packed)).decode()


def open_sealed(secret: bytes, token: str) -> str:
    """Return the text of a token.

    Raises InvalidRequest if it was changed, was sealed with another secret, or is no token at all.
    """
    try:
        encoded = token.encode("ascii")
        if not encoded.startswith(_VERSION):
            raise _invalid()
        sealed = base64.b64decode(encoded[len(_VERSION) :], altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise _invalid() from error
    signature, packed = sealed[:_SIGNATURE_BYTES], sealed[_SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, _sign(secret, packed)):
        raise _invalid()
    return _unpack(packed)


def _unpack(packed: bytes) -> str:
    """Decompress no more than the limit, although only this server can have signed it."""
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(packed, MAX_TEXT_BYTES + 1)
    except zlib.error as error:
        raise _invalid() from error
    if not unpacker.eof or len(data) > MAX_TEXT_BYTES:
        raise _invalid()
    return data.decode("utf-8", "surrogatepass")


def _sign(secret: bytes, packed: bytes) -> bytes:
    return hmac.digest(secret, _VERSION + packed, hashlib.sha256)


def _invalid() -> InvalidRequest:
    return InvalidRequest(
        "The encrypted content could not be verified. It was changed, or another server made it.",
        param="encrypted_content",
        code="invalid_encrypted_content",
    )
