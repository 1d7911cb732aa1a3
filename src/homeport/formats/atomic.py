"""Files that appear complete or not at all: they are written under another name in the same folder, then renamed.

`is_durable`: the file survives a power cut once the function has returned. One process at a time may write a name.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from homeport.formats import durable_files

PARTIAL = ".partial"
_PRIVATE = 0o600


@contextlib.contextmanager
def replace_file(
    target: Path, *, mode: int = _PRIVATE, is_durable: bool = True, suffix: str = PARTIAL
) -> Iterator[Path]:
    """Create an empty file `NAME` + `suffix` next to `target`; at the end of the block it replaces `target`.

    `mode`: its permissions before the umask. If the block raises, the file is removed and `target` stays unchanged.
    """
    partial = target.with_name(f"{target.name}{suffix}")
    try:
        partial.unlink(missing_ok=True)  # an earlier process may have left one, with other permissions
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode))
        yield partial
        publish_file(partial, target, is_durable=is_durable)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def write_file(
    target: Path, data: bytes, *, mode: int = _PRIVATE, is_durable: bool = True, suffix: str = PARTIAL
) -> None:
    """Replace a file's content, as `replace_file` does."""
    with replace_file(target, mode=mode, is_durable=is_durable, suffix=suffix) as partial:
        partial.write_bytes(data)


def create_file(target: Path, data: bytes) -> None:
    """Write a file for this user alone, unless it exists.

    If several processes do so at the same time, one of them succeeds, and all find its file complete.
    """
    fresh = target.with_name(f"{target.name}.{secrets.token_hex(8)}")
    try:
        write_file(fresh, data)
        with contextlib.suppress(FileExistsError):
            target.hardlink_to(fresh)
    finally:
        fresh.unlink(missing_ok=True)
    durable_files.sync_path(target.parent)


def publish_file(partial: Path, target: Path, *, is_durable: bool = True) -> None:
    """Rename a complete file of the same file system to `target`, replacing it."""
    if is_durable:
        durable_files.sync_path(partial)
    partial.replace(target)
    if is_durable:
        durable_files.sync_path(target.parent)
