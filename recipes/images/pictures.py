"""Vector drawings to small square images, and recolored images. Knows nothing of captions."""

import io
import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

SIDE = 64
"""Pixels along each side of the training images."""
FINE = 128
"""Pixels along each side of the generated images."""
STYLES = ("noto", "flat", "fluent", "fx")
_FAINT = 0.25  # saturation below which a pixel counts as gray
_GREY = 0.4  # share of gray pixels above which a drawing can be tinted
_COLOURED = 0.15  # share of colored pixels below which a new color would not be visible


def drawings(
    folders: dict[str, Path], codes: dict[str, str], styles: Sequence[str] = STYLES
) -> Iterator[tuple[str, str, Pixels]]:
    """Yield style, emoji code and image (FINE x FINE x 3) of each drawing of these sets with one of `codes`.

    `codes`: English label by emoji code.
    """
    by_code = {_plain(code): code for code in codes}
    # Fluent's full set has no table; its drawings have the names of the flat set.
    tables = {"noto": "noto", "flat": "flat", "fluent": "flat"}
    for style in styles:
        if style in tables:
            chars = json.loads((folders[tables[style]] / "chars.json").read_text())
            names = _by_name(chars, by_code)
        else:
            names = _by_word(codes)
        icons = json.loads((folders[style] / "icons.json").read_text())
        seen = set()
        for name, icon in sorted(icons["icons"].items()):
            code = names.get(_squeezed(name) if style == "fx" else name)
            if code is not None and code not in seen:
                seen.add(code)
                yield style, code, rendered(icon["body"], icons.get("width", 16), icons.get("height", 16))


def rendered(body: str, width: int, height: int) -> Pixels:
    """Render an icon's SVG body on white, at twice the size, and reduce it."""
    import resvg_py  # installed for training only

    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    svg = f'<svg {spaces} viewBox="0 0 {width} {height}">{body}</svg>'
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=2 * FINE, height=2 * FINE))
    drawn = Image.open(io.BytesIO(png)).convert("RGBA")
    white = Image.new("RGBA", drawn.size, "white")
    white.alpha_composite(drawn)
    return np.asarray(white.convert("RGB").resize((FINE, FINE), Image.Resampling.BOX))


def halved(pixels: Pixels) -> Pixels:
    """Reduce an image to half its size."""
    size = (pixels.shape[1] // 2, pixels.shape[0] // 2)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))


def recoloured(pixels: Pixels, hue: float) -> Pixels | None:
    """Change the main color of an image to `hue` (degrees); None if the image cannot take another color.

    Only pixels near the main hue change, so that a car's tires and windows stay. A gray drawing is tinted.
    """
    hsv = np.asarray(Image.fromarray(pixels).convert("HSV")).astype(np.float32)
    hues, saturation, value = hsv[..., 0] * (360 / 255), hsv[..., 1] / 255, hsv[..., 2] / 255
    vivid = (saturation > _FAINT) & (value > 0.2)
    drawn = (pixels.min(axis=-1) < 245).sum()
    if vivid.sum() < _COLOURED * max(drawn, 1):
        return _tinted(hsv, hue, drawn)
    counts, edges = np.histogram(hues[vivid], bins=36, range=(0, 360), weights=saturation[vivid])
    smooth = counts + np.roll(counts, 1) + np.roll(counts, -1)
    main = edges[int(smooth.argmax())] + 5
    away = (hues - main + 180) % 360 - 180
    turned = vivid & (np.abs(away) < 50)
    if turned.sum() < _COLOURED * max(drawn, 1):
        return None
    hsv[..., 0] = np.where(turned, ((hue + 0.4 * away) % 360) * (255 / 360), hsv[..., 0])
    hsv[..., 1] = np.where(turned, np.clip(saturation * 1.25, 0, 1) * 255, hsv[..., 1])
    return np.asarray(Image.fromarray(hsv.astype(np.uint8), "HSV").convert("RGB"))


def _tinted(hsv: NDArray[np.float32], hue: float, drawn: int) -> Pixels | None:
    """Tint a gray drawing (an elephant); black and white pixels stay."""
    value = hsv[..., 2] / 255
    grey = (hsv[..., 1] / 255 <= _FAINT) & (value > 0.3) & (value < 0.93)
    if grey.sum() < _GREY * max(drawn, 1):
        return None
    tinted = hsv.copy()
    tinted[..., 0] = np.where(grey, hue * (255 / 360), hsv[..., 0])
    tinted[..., 1] = np.where(grey, 0.6 * 255, hsv[..., 1])
    tinted[..., 2] = np.where(grey, np.clip(1.25 * value, 0, 1) * 255, hsv[..., 2])
    return np.asarray(Image.fromarray(tinted.astype(np.uint8), "HSV").convert("RGB"))


def _plain(code: str) -> str:
    return "-".join(part for part in code.lower().split("-") if part != "fe0f")


def _squeezed(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _by_name(chars: dict[str, str], by_code: dict[str, str]) -> dict[str, str]:
    return {name: by_code[_plain(code)] for code, name in chars.items() if _plain(code) in by_code}


def _by_word(codes: dict[str, str]) -> dict[str, str]:
    """Match FxEmojis, which have no code points, by the character's Unicode name, else by the label."""
    names = {_squeezed(label): code for code, label in codes.items()}
    for code in codes:
        points = [part for part in code.split("-") if part != "FE0F"]
        if len(points) == 1:
            names[_squeezed(unicodedata.name(chr(int(points[0], 16)), ""))] = code
    return names
