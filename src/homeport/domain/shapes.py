"""The request to a shape engine: pictures in, 3D shapes out. Values only: `api` builds them, a worker reads them.

Knows nothing of JSON field names, HTTP or how a shape is computed.
"""

from enum import StrEnum

import msgspec

from homeport.domain.content import Attachment

SHAPES_MAX = 4
"""How many shapes one request may ask for."""
POINTS_MIN, POINTS_MAX = 1, 65_536
"""How many points a cloud may have."""
POINTS_DEFAULT = 4096
"""The points of a JSON file, which has no mesh: as many as Point-E's."""
FILE_BYTES_MAX = 14 * 1024 * 1024
"""The maximum size of one shape's file: with its preview it crosses a link as one message of at most 16 MiB."""


class ShapeFormat(StrEnum):
    """The file format of a shape. PLY and GLB hold a mesh or a cloud of points, JSON only points."""

    PLY = "ply"
    GLB = "glb"
    JSON = "json"


class ShapeQuality(StrEnum):
    """How fine the grid is in which the surface is found."""

    AUTO = "auto"
    COARSE = "coarse"


class ShapeBackground(StrEnum):
    """What becomes of a picture's background: it is cut away where that is possible, or kept."""

    AUTO = "auto"
    KEEP = "keep"


class ShapeRequest(msgspec.Struct, frozen=True, tag="shape_request"):
    """Asks for one shape of each image; equal images are computed once.

    `points` None: the mesh, else a cloud of this many points on its surface. `seed`: where the points of the first
    shape lie, and with `seed + 1` those of the next one; None: random. `has_preview`: each shape comes with a picture
    of it. `field`: the caller's name for the images, in errors.
    """

    images: tuple[Attachment, ...]
    format: ShapeFormat = ShapeFormat.GLB
    points: int | None = None
    seed: int | None = None
    quality: ShapeQuality = ShapeQuality.AUTO
    background: ShapeBackground = ShapeBackground.AUTO
    has_preview: bool = False
    field: str = "image"
