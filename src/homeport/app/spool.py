"""The folder that holds the uploads of one server process. The next server removes what a crashed one left.

Knows nothing of what is in the files.
"""

import os
import shutil
from pathlib import Path

import psutil

_FOLDER = "spool"


def create_spool(home: Path) -> Path:
    """Create this process's folder, accessible to its user only, and remove those of processes that have ended."""
    spools = home / _FOLDER
    spools.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in spools.iterdir():
        if not folder.name.isdecimal() or int(folder.name) == os.getpid() or not psutil.pid_exists(int(folder.name)):
            shutil.rmtree(folder, ignore_errors=True)
    spool = spools / str(os.getpid())
    spool.mkdir(mode=0o700)
    return spool


def remove_spool(spool: Path) -> None:
    """Remove a folder that `create_spool` created."""
    shutil.rmtree(spool, ignore_errors=True)
