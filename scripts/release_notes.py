"""Print the changelog's section of a release. Fails unless the tag is `v` and the version in the code.

Usage: PYTHONPATH=src python -m scripts.release_notes v1.2.3
"""

import re
import sys
from pathlib import Path

from homeport import __version__

CHANGELOG = Path(__file__).parent.parent / "CHANGELOG.md"


def release_notes(tag: str, version: str, changelog: str) -> str:
    """Return the section `## [VERSION] - DATE` without its heading.

    Raises ValueError if the tag names another version, or if the section is missing, undated or empty.
    """
    if tag != f"v{version}":
        raise ValueError(f"the tag {tag} is not v{version}: set __version__ in src/homeport/__init__.py")
    section = re.search(
        rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## \[|\Z)",
        changelog,
        flags=re.MULTILINE | re.DOTALL,
    )
    if section is None or not section[1].strip():
        raise ValueError(f"CHANGELOG.md has no entries under `## [{version}] - YYYY-MM-DD`: rename `## [Unreleased]`")
    return section[1].strip() + "\n"


if __name__ == "__main__":
    try:
        sys.stdout.write(release_notes(sys.argv[1], __version__, CHANGELOG.read_text("utf-8")))
    except ValueError as error:
        sys.exit(str(error))
