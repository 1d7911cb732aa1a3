"""Forms with files, encoded as SDKs do."""

from collections.abc import Sequence
from pathlib import Path

BOUNDARY = "------------------------d74496d66958873e"
HEADERS = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}


def form(fields: Sequence[tuple[str, str]], files: Sequence[tuple[str, bytes]] = ()) -> bytes:
    """Return a form's body: fields, then files as `(field, content)`."""
    parts = [f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode() for name, value in fields]
    parts += [
        f'Content-Disposition: form-data; name="{name}"; filename="a.wav"\r\n'.encode()
        + b"Content-Type: application/octet-stream\r\n\r\n"
        + content
        for name, content in files
    ]
    return b"".join(f"--{BOUNDARY}\r\n".encode() + part + b"\r\n" for part in parts) + f"--{BOUNDARY}--\r\n".encode()


def is_empty(folder: Path) -> bool:
    """Return whether a folder is empty."""
    return not any(folder.iterdir())
