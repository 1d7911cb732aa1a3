"""The references that a user may write to pull a model: a catalogue name, `hf:…`, `ms:…` or `file:…`.

Knows nothing of what is in the catalogue or on a hub.
"""

import re
from pathlib import Path

import msgspec

from homeport.domain.errors import InvalidRequest, excerpt

_REPO = re.compile(r"(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?::(?P<pick>[^@\s:]+))?(?:@(?P<revision>\S+))?")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")
_MAX_FINE_TUNED_NAME = 220
_TUNED = re.compile(r"(?!.*\.\.)[a-z0-9][a-z0-9._-]*(?::[a-z0-9._-]*){2,5}")
_FORMS = "a name of the catalogue, hf:org/repo[:QUANT][@revision], ms:org/repo[:QUANT][@revision] or file:model.gguf"


class CatalogueName(msgspec.Struct, frozen=True):
    """A name to look up in the catalogue."""

    name: str


class HubReference(msgspec.Struct, frozen=True):
    """A repository on a hub (`hf` or `ms`). `pick` is a quantization or a file's name."""

    hub: str
    repo: str
    pick: str | None = None
    revision: str | None = None


class FileReference(msgspec.Struct, frozen=True):
    """A file on this machine."""

    path: Path


Reference = CatalogueName | HubReference | FileReference


def parse(text: str) -> Reference:
    """Parse a reference. Raises InvalidRequest that lists the forms."""
    scheme, colon, rest = text.strip().partition(":")
    if not colon and scheme:
        return CatalogueName(scheme)
    if scheme == "file" and rest:
        return FileReference(Path(rest).expanduser())
    if scheme in ("hf", "ms") and (match := _REPO.fullmatch(rest)):
        return HubReference(scheme, match["repo"], match["pick"], match["revision"])
    raise InvalidRequest(f"`{excerpt(text)}` is not a reference to a model: write {_FORMS}.")


def local_name(text: str) -> str:
    """Return a model's name for its file's stem: lower case, safe as a folder.

    Raises InvalidRequest if nothing usable is left.
    """
    name = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:128]
    if not _NAME.fullmatch(name):
        raise InvalidRequest(f"`{excerpt(text)}` cannot be turned into a model name: choose one with --name.")
    return name


def folder_name(name: str) -> str:
    """Return the folder of a model; colons of fine-tuned names are replaced, because not every file system allows them.

    Raises InvalidRequest for a name that could lead elsewhere.
    """
    if ":" not in name:
        return check_name(name)
    if len(name) > _MAX_FINE_TUNED_NAME or not _TUNED.fullmatch(name):
        raise InvalidRequest(
            f"`{excerpt(name)}` cannot name a fine-tuned model: it is three to six parts of lower-case letters, "
            f"digits, dots, dashes and underscores with colons between them, at most {_MAX_FINE_TUNED_NAME} characters."
        )
    return name.replace(":", "+")


def check_name(name: str) -> str:
    """Return `name` if it is a valid model name. Raises InvalidRequest otherwise."""
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            f"`{excerpt(name)}` cannot name a model: use lower-case letters, digits, dots, dashes and underscores "
            "(at most 128, beginning with a letter or digit)."
        )
    return name
