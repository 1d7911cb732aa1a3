"""Thumbnails as text: which way a terminal can show them, and what is written to it."""

import base64
import re

import pytest

from homeport.cli import thumbnails
from homeport.cli.thumbnails import Method
from homeport.domain.thumbnails import Thumbnail
from homeport.settings import terminal_program

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
SMALL = Thumbnail(2, 3, bytes([*RED, *GREEN, *BLUE, *RED, *GREEN, *BLUE]), b"\x89PNG" * 2000)


@pytest.mark.parametrize(
    ("program", "colors", "method"),
    [
        ("kitty", "truecolor", "kitty"),
        ("ghostty", None, "kitty"),
        ("iterm.app", "256", "iterm"),
        ("wezterm", "truecolor", "iterm"),
        ("", "truecolor", "blocks"),
        ("apple_terminal", "256", "blocks256"),
        ("", "standard", "none"),
        ("", None, "none"),
    ],
)
def test_the_best_way_is_chosen(program: str, colors: str | None, method: str) -> None:
    """A terminal with a protocol for images gets them, another one blocks in its colors; a file gets none."""
    assert thumbnails.choose_method(program, colors, is_terminal=True) == method
    assert thumbnails.choose_method(program, colors, is_terminal=False) == "none"


@pytest.mark.parametrize(
    ("variables", "program"),
    [
        ({"KITTY_WINDOW_ID": "1", "TERM_PROGRAM": "tmux"}, "kitty"),
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM_PROGRAM": "iTerm.app", "TERM": "xterm-256color"}, "iterm.app"),
        ({}, ""),
    ],
)
def test_terminals_are_known_by_their_variables(variables: dict[str, str], program: str) -> None:
    """kitty has variables of its own, others name themselves."""
    assert terminal_program(variables) == program


def test_kitty_receives_the_file_in_chunks() -> None:
    """The chunks join to the PNG; the first has the size in rows, and only the last says that it is the last."""
    text = thumbnails.render(SMALL, "kitty")
    chunks = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", text)
    assert text == "".join(f"\x1b_G{keys};{data}\x1b\\" for keys, data in chunks)
    assert base64.b64decode("".join(data for _, data in chunks)) == SMALL.png
    assert [keys[-3:] for keys, _ in chunks] == [*["m=1"] * (len(chunks) - 1), "m=0"]
    assert "f=100" in chunks[0][0]
    assert max(len(data) for _, data in chunks) <= 4096
    assert len(chunks) > 1


def test_iterm_receives_the_file() -> None:
    """One sequence has the whole PNG."""
    text = thumbnails.render(SMALL, "iterm")
    assert text.startswith("\x1b]1337;File=inline=1;")
    assert base64.b64decode(text.partition(":")[2].removesuffix("\x07")) == SMALL.png


def test_blocks_show_two_pixels_each() -> None:
    """The upper pixel is the color of the block, the lower one is behind it; an odd last row has nothing behind."""
    first, last = thumbnails.render(SMALL, "blocks").split("\n")
    red, green, blue = (";".join(map(str, color)) for color in (RED, GREEN, BLUE))
    assert first == f"\x1b[38;2;{red}m\x1b[48;2;{blue}m▀\x1b[38;2;{green}m\x1b[48;2;{red}m▀\x1b[0m"
    assert last == f"\x1b[38;2;{green}m▀\x1b[38;2;{blue}m▀\x1b[0m"


def test_blocks_of_256_colors_are_the_nearest() -> None:
    """Pure red is number 196 of the palette, green 46, blue 21."""
    first, _ = thumbnails.render(SMALL, "blocks256").split("\n")
    assert re.findall(r"\x1b\[[34]8;5;(\d+)m", first) == ["196", "21", "46", "196"]


@pytest.mark.parametrize("method", ["kitty", "iterm", "blocks", "blocks256"])
def test_sizes_fit_the_way(method: Method) -> None:
    """Where each character shows two pixels, a thumbnail has few; else enough for a sharp image."""
    width, height = thumbnails.largest_size(method)
    assert (height == 12) == method.startswith("blocks")
    assert width >= 24
    assert thumbnails.render(SMALL, "none") == ""
