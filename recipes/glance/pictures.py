"""Drawings of emoji and of stamps as pictures: rendered and trimmed. Knows nothing of names."""

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from PIL import Image

EDGE = 320
"""Pixels along the longer side of a rendered drawing; the network sees fewer."""
SETS = ("noto", "fluent-3d")
"""The sets of emoji that are trained on, and whose held-out concepts are measured."""
_VARIATION = "fe0f"


def drawings(folders: Mapping[str, Path], name: str) -> Iterator[tuple[str, Image.Image]]:
    """Yield the code points (small letters, without variation selectors) and the picture of each emoji of a set."""
    if name == "fluent-3d":
        for file in sorted((folders[name] / "package" / "assets").glob("*.webp")):
            yield plain(file.stem), opened(file)
        return
    package = folders[name] / "package"
    icons = json.loads((package / "icons.json").read_text("utf-8"))
    seen = set()
    for code, icon in json.loads((package / "chars.json").read_text("utf-8")).items():
        if (body := icons["icons"].get(icon)) is not None and plain(code) not in seen:
            seen.add(plain(code))
            width, height = (body.get(side, icons.get(side, 16)) for side in ("width", "height"))
            spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
            yield plain(code), rendered(f'<svg {spaces} viewBox="0 0 {width} {height}">{body["body"]}</svg>')


def plain(code: str) -> str:
    """Return code points in small letters without variation selectors, by which the sets differ."""
    return "-".join(part for part in code.lower().split("-") if part != _VARIATION)


def opened(file: Path) -> Image.Image:
    """Read a picture file, or render a drawing in SVG, with transparency."""
    if file.suffix == ".svg":
        return rendered(file.read_text("utf-8"))
    with Image.open(file) as image:
        return image.convert("RGBA")


def rendered(svg: str) -> Image.Image:
    """Render a drawing in SVG, with transparency."""
    import resvg_py  # installed for training only

    return Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=svg, width=EDGE)))).convert("RGBA")


def trimmed(image: Image.Image) -> Image.Image:
    """Return what is drawn without the transparent frame: pictures are framed in many ways."""
    box = image.getchannel("A").getbbox()
    return image.crop(box) if box else image
