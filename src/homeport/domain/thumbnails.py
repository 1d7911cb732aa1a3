"""A small version of an image, for a terminal. Values only."""

import msgspec


class Thumbnail(msgspec.Struct, frozen=True):
    """`pixels`: red, green and blue of each, row by row; `png`: the same as a file."""

    width: int
    height: int
    pixels: bytes
    png: bytes
