"""The folder of uploads: accessible to its user only, and empty at every start."""

import os
import stat
import subprocess
import sys
from pathlib import Path

from homeport.app import spool


def test_only_its_user_may_read_the_folder(tmp_path: Path) -> None:
    """The folder is closed to other users, and `remove_spool` removes it."""
    own = spool.create_spool(tmp_path)
    assert stat.S_IMODE(own.stat().st_mode) == stat.S_IMODE(own.parent.stat().st_mode) == 0o700
    (own / "upload").write_bytes(b"x")
    spool.remove_spool(own)
    assert not own.exists()


def test_files_of_a_crashed_server_are_removed(tmp_path: Path) -> None:
    """The next start removes the uploads of a killed server and keeps those of a running one."""
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


def test_a_reused_process_id_starts_empty(tmp_path: Path) -> None:
    """A folder with this process's id was left by an earlier process and is emptied."""
    (tmp_path / "spool" / str(os.getpid())).mkdir(parents=True)
    (tmp_path / "spool" / str(os.getpid()) / "upload").touch()
    assert list(spool.create_spool(tmp_path).iterdir()) == []
