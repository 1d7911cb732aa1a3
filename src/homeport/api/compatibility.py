"""What becomes of a request field: the words in which each endpoint's table of fields is written.

Knows nothing of any endpoint.
"""

from enum import StrEnum
from typing import NamedTuple


class FieldSupport(StrEnum):
    """What becomes of a field. A refused one is a 400 naming it, unless its value asks for nothing."""

    SERVED = "served"
    ACCEPTED = "accepted"
    REFUSED = "refused"


class FieldNote(NamedTuple):
    """One field's fate, with a line for the reader. A dotted name is a field inside another."""

    name: str
    support: FieldSupport
    note: str
