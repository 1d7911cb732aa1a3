"""Writes PLY files: vertices with colors, and triangles. Binary, little-endian, with only the standard library.

Knows the layout of the file, not what its arrays are computed from. Layout: G. Turk, "The PLY Polygon File Format".
"""

VERTEX_BYTES, TRIANGLE_BYTES = 15, 13
_VERTEX = (
    *(f"property float {axis}" for axis in "xyz"),
    *(f"property uchar {color}" for color in ("red", "green", "blue")),
)


def write(vertices: bytes, triangles: bytes = b"") -> bytes:
    """Return a file.

    `vertices`: for each, three 32-bit floats and three bytes, red, green and blue. `triangles`: for each, the byte 3
    and three 32-bit indices of vertices; without any the file is a cloud of points. Raises ValueError if either has a
    length that is not a whole number of elements.
    """
    n_vertices, rest = divmod(len(vertices), VERTEX_BYTES)
    n_triangles, rest_of_triangles = divmod(len(triangles), TRIANGLE_BYTES)
    if rest or rest_of_triangles:
        raise ValueError("an element of the file is incomplete")
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {n_vertices}", *_VERTEX]
    if n_triangles:
        lines += [f"element face {n_triangles}", "property list uchar int vertex_indices"]
    head = "".join(f"{line}\n" for line in (*lines, "end_header"))
    return b"".join((head.encode("ascii"), vertices, triangles))
