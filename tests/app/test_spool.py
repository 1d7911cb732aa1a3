"""The folder of uploads under way: for this user alone, and empty at every start."""

import os
import stat
import subprocess
import sys
from pathlib import Path

from homeport.app import spool


def test_the_folder_is_this_users_alone(tmp_path: Path) -> None:
    """Nobody else may list or read it, and it is gone with its server."""
    own = spool.create_spool(tmp_path)
    assert stat.S_IMODE(own.stat().st_mode) == stat.S_IMODE(own.parent.stat().st_mode) == 0o700
    (own / "upload").write_bytes(b"x")
    spool.remove_spool(own)
    assert not own.exists()


def test_what_a_crashed_server_left_is_swept(tmp_path: Path) -> None:
    """Uploads of a server that was killed go when the next one starts; those of one that runs stay."""
    code = (
        "import os; from pathlib import Path; from homeport.app import spool; "
        f"own = spool.create_spool(Path({str(tmp_path)!r}));"
    )
    command = [
        sys.executable,
        "-c",
        f"{code} (own / 'upload').touch(); print(own, flush=True); os.kill(os.getpid(), 9)",
    ]
    left = Path(subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout.strip())
    assert (left / "upload").exists()
    of_another = tmp_path / "spool" / str(os.getppid())
    of_another.mkdir()
    own = spool.create_spool(tmp_path)
    assert not left.exists()
    assert of_another.exists()
    assert list(own.iterdir()) == []


def test_a_process_id_that_comes_back_starts_empty(tmp_path: Path) -> None:
    """A folder under this very process's id is another's that is gone."""
    (tmp_path / "spool" / str(os.getpid())).mkdir(parents=True)
    (tmp_path / "spool" / str(os.getpid()) / "upload").touch()
    assert list(spool.create_spool(tmp_path).iterdir()) == []
