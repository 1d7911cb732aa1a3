"""A composer's model of few random numbers, with lengths that fill any bar."""

import json
from pathlib import Path

import numpy as np

from homeport.engines.music.score import MODES
from homeport.engines.music.tunes.layout import (
    ECHOES,
    MAX_BAR,
    MAX_BARS_LEFT,
    MAX_SECTIONS_LEFT,
    METRES,
    STYLES,
)
from homeport.engines.music.tunes.network import CONFIGURATION

WIDTH, HIDDEN = 16, 24
NOTES = [[pitch, ticks] for pitch in (-5, 0, 2, 3, 4, 7, 12, None) for ticks in (4, 8, 12, 18, 24, 36, 48)]
UPBEATS = [0, 12, 24]


def write(path: Path) -> Path:
    """Write the file."""
    generator = np.random.default_rng(5)
    tokens = 1 + len(UPBEATS) + len(NOTES)
    shapes: dict[str, tuple[int, ...]] = {"last.weight": (WIDTH,)}
    steps = (tokens, MAX_BAR, MAX_BARS_LEFT + 1, MAX_SECTIONS_LEFT + 1, *(tokens for _ in ECHOES))
    shapes |= {f"steps.{index}.weight": (count, WIDTH) for index, count in enumerate(steps)}
    headings = (STYLES, METRES, MODES)
    shapes |= {f"headings.{index}.weight": (len(names), WIDTH) for index, names in enumerate(headings)}
    block = {
        "before_attention": (WIDTH,),
        "before_hidden": (WIDTH,),
        "read": (3 * WIDTH, WIDTH),
        "joined": (WIDTH, WIDTH),
        "widen": (HIDDEN, WIDTH),
        "narrow": (WIDTH, HIDDEN),
    }
    shapes |= {f"blocks.{index}.{name}.weight": shape for index in range(2) for name, shape in block.items()}
    weights = {name: generator.normal(0, 0.3, shape).astype(np.float16) for name, shape in shapes.items()}
    configuration = json.dumps({"heads": 2, "layers": 2, "upbeats": UPBEATS, "notes": NOTES}).encode()
    np.savez(path, **weights, **{CONFIGURATION: np.frombuffer(configuration, np.uint8)})  # type: ignore[arg-type]
    return path
