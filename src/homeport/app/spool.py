"""Where a server keeps the uploads it works on: a folder of its own, swept by the next one if it could not.

Knows nothing of what is in the files.
"""

import os
import shutil
from pathlib import Path

import psutil

_FOLDER = "spool"


def create_spool(home: Path) -> Path:
    """Make this process's folder, for its user alone, and remove those of servers that are gone."""
    spools = home / _FOLDER
    spools.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in spools.iterdir():
        if not left.name.isdecimal() or int(left.name) == os.getpid() or not psutil.pid_exists(int(left.name)):
            shutil.rmtree(left, ignore_errors=True)
    own = spools / str(os.getpid())
    own.mkdir(mode=0o700)
    return own


def remove_spool(own: Path) -> None:
    """Remove a folder that `begin` made."""
    shutil.rmtree(own, ignore_errors=True)
