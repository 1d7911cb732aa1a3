"""Thumbnails in the terminal, in whichever way it can show them. Knows nothing of files or models."""

import base64
from collections.abc import Iterator
from typing import Literal, get_args

from homeport.domain.thumbnails import Thumbnail

Method = Literal["kitty", "iterm", "blocks", "blocks256", "none"]
METHODS: tuple[Method, ...] = get_args(Method)

ROWS, COLUMNS = 6, 24
"""The maximum size of a thumbnail, in characters."""

_CELL = 20, 40
"""Pixels of a character where the terminal scales the image itself: more than it shows, so that it stays sharp."""

_ITERM_PROGRAMS = ("iterm.app", "wezterm", "mintty")
_KITTY_PROGRAMS = ("kitty", "ghostty")
_CHUNK = 4096  # of base64 in one of kitty's sequences
_CUBE = 6  # steps of each color in the palette of 256


def choose_method(program: str, colors: str | None, *, is_terminal: bool) -> Method:
    """Return how a terminal shows images. `program`: its name; `colors`: `truecolor`, `256`, or less, as rich says."""
    if not is_terminal:
        return "none"
    if program in _KITTY_PROGRAMS:
        return "kitty"
    if program in _ITERM_PROGRAMS:
        return "iterm"
    by_colors: dict[str, Method] = {"truecolor": "blocks", "256": "blocks256"}
    return by_colors.get(colors or "", "none")


def largest_size(method: Method) -> tuple[int, int]:
    """Return the width and height in pixels that a thumbnail may have; half a character is one pixel of blocks."""
    if method in ("blocks", "blocks256"):
        return COLUMNS, 2 * ROWS
    return COLUMNS * _CELL[0], ROWS * _CELL[1]


def render(thumbnail: Thumbnail, method: Method) -> str:
    """Return the text that shows a thumbnail; empty for the method `none`."""
    if method == "kitty":
        return "".join(_kitty(thumbnail))
    if method == "iterm":
        data = base64.b64encode(thumbnail.png).decode()
        return f"\x1b]1337;File=inline=1;size={len(thumbnail.png)};height={ROWS};preserveAspectRatio=1:{data}\x07"
    if method == "none":
        return ""
    return "\n".join(_blocks(thumbnail, is_exact=method == "blocks"))


def _kitty(thumbnail: Thumbnail) -> Iterator[str]:
    """Yield the sequences that transmit a PNG and show it in a number of rows. `q=2`: the terminal does not answer."""
    data = base64.b64encode(thumbnail.png).decode()
    chunks = [data[at : at + _CHUNK] for at in range(0, len(data), _CHUNK)]
    for number, chunk in enumerate(chunks):
        keys = f"a=T,f=100,q=2,r={ROWS}," if number == 0 else ""
        yield f"\x1b_G{keys}m={int(number < len(chunks) - 1)};{chunk}\x1b\\"


def _blocks(thumbnail: Thumbnail, *, is_exact: bool) -> Iterator[str]:
    """Yield lines of half blocks: each character shows two pixels, one above the other."""
    for top in range(0, thumbnail.height, 2):
        cells = []
        for x in range(thumbnail.width):
            lower = ""
            if top + 1 < thumbnail.height:
                lower = _color(48, _pixel(thumbnail, x, top + 1), is_exact=is_exact)
            cells.append(f"{_color(38, _pixel(thumbnail, x, top), is_exact=is_exact)}{lower}▀")
        yield "".join([*cells, "\x1b[0m"])


def _pixel(thumbnail: Thumbnail, x: int, y: int) -> tuple[int, int, int]:
    start = 3 * (y * thumbnail.width + x)
    red, green, blue = thumbnail.pixels[start : start + 3]
    return red, green, blue


def _color(layer: int, rgb: tuple[int, int, int], *, is_exact: bool) -> str:
    """Return the sequence for a color. `layer`: 38 for the character, 48 for what is behind it."""
    if is_exact:
        return f"\x1b[{layer};2;{rgb[0]};{rgb[1]};{rgb[2]}m"
    red, green, blue = (round(value / 255 * (_CUBE - 1)) for value in rgb)
    return f"\x1b[{layer};5;{16 + (red * _CUBE + green) * _CUBE + blue}m"
