"""Images as cameras and programs write them: rotated by EXIF or XMP, in every mode, with damaged metadata."""

import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms

WIDTH, HEIGHT = 128, 64
CORNERS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0))
"""Of an upright image: top left, top right, bottom left, bottom right."""

_BACK = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""By EXIF's orientation: the sensor's position relative to the upright image."""
ORIENTATIONS = tuple(_BACK)
_TEXT = b"Exif\0\0II*\0" + struct.pack("<IHHHI4sI", 8, 1, ExifTags.Base.Orientation, 2, 4, b"six", 0)


def upright() -> Image.Image:
    """Return an image whose four quarters have the colors of `CORNERS`."""
    made = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for at, colour in enumerate(CORNERS):
        y, x = (at // 2) * HEIGHT // 2, (at % 2) * WIDTH // 2
        made[y : y + HEIGHT // 2, x : x + WIDTH // 2] = colour
    return Image.fromarray(made)


def stored(orientation: int, picture: Image.Image | None = None) -> Image.Image:
    """Return an upright image as a camera with this orientation stores it."""
    picture = picture or upright()
    way = _BACK[orientation]
    return picture if way is None else picture.transpose(way)


def photo(orientation: int, kind: str = "JPEG", picture: Image.Image | None = None) -> bytes:
    """Build a file of such an image, with the orientation in its EXIF."""
    return written(stored(orientation, picture), kind, exif=_noted(orientation))


def written(picture: Image.Image, kind: str, **options: object) -> bytes:
    """Encode an image as a file of this format."""
    file = io.BytesIO()
    if kind in ("JPEG", "MPO"):
        options = {"quality": 95, "subsampling": 0, **options}
    picture.save(file, kind, **options)
    return file.getvalue()


def oddities() -> dict[str, bytes]:
    """Return unusual but valid files of an upright image of this size, by what is unusual."""
    picture = upright()
    other = picture.transpose(Image.Transpose.ROTATE_180)
    grey = np.asarray(picture.convert("L")).astype(np.uint16) * 257
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    moving = {"save_all": True, "append_images": [other]}
    return {
        "palette.png": written(picture.convert("P"), "PNG"),
        "palette with a clear colour.png": written(picture.convert("P"), "PNG", transparency=200),
        "one bit.png": written(picture.convert("1"), "PNG"),
        "grey and alpha.png": written(picture.convert("LA"), "PNG"),
        "16 bits.png": written(Image.fromarray(grey), "PNG"),
        "moving.png": written(picture, "PNG", **moving),
        "moving.webp": written(picture, "WEBP", **moving),
        "cmyk.jpg": written(picture.convert("CMYK"), "JPEG"),
        "two in one.jpg": written(picture, "MPO", **moving),
        "profile.jpg": written(picture, "JPEG", icc_profile=profile),
        "profile of nonsense.png": written(picture, "PNG", icc_profile=b"no profile"),
        "exif of nonsense.jpg": written(picture, "JPEG", exif=b"Exif\0\0nonsense"),
        "exif cut off.jpg": written(picture, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12" * 9),
        "an orientation of 9.jpg": written(picture, "JPEG", exif=_noted(9)),
        "an orientation of text.jpg": written(picture, "JPEG", exif=_TEXT),
    }


def _noted(orientation: int) -> Image.Exif:
    notes = Image.Exif()
    notes[ExifTags.Base.Orientation] = orientation
    return notes


def corners(pixels: NDArray[np.uint8]) -> list[tuple[int, ...]]:
    """Return the colors in the four corners of an image, rounded to those of `CORNERS`."""
    height, width = pixels.shape[:2]
    places = [(y, x) for y in (height // 8, height * 7 // 8) for x in (width // 8, width * 7 // 8)]
    return [tuple(int(value > 127) * 255 for value in pixels[place][:3]) for place in places]


def bomb(side: int) -> bytes:
    """Return the beginning of a PNG that claims this many pixels in height and width."""
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + head
    checked = struct.pack(">I", len(head)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return b"\x89PNG\r\n\x1a\n" + checked + struct.pack(">I", 9) + b"IDAT" + bytes(99)
