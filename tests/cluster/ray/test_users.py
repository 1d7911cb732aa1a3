"""A node that another user runs, from a folder of their own. Needs root, who can become another user."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import psutil
import pytest

from homeport.domain.models import InstalledModel
from tests.cluster.ray.conftest import Gateway
from tests.cluster.ray.test_nodes import ROOT, joined
from tests.serving.conftest import answer

if TYPE_CHECKING:
    from tests.cluster.ray.local_cluster import LocalCluster

NOBODY = 65_534
MISSING = (
    "another user's node needs Linux, root and `setpriv`"
    if sys.platform != "linux" or os.geteuid() or shutil.which("setpriv") is None
    else ""
)
# The environment may be in root's folder, so the other user may read everything here, but write nothing.
UNDER = (
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", "--"),
)

pytestmark = [pytest.mark.alone, pytest.mark.skipif(bool(MISSING), reason=MISSING)]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of the other user, outside pytest's, which only this user may enter."""
    made = Path(tempfile.mkdtemp(prefix="homeport-user-"))
    os.chown(made, NOBODY, NOBODY)
    yield made
    shutil.rmtree(made)


def variables(folder: Path) -> Mapping[str, str]:
    """Return the environment of a fresh login."""
    return {"HOME": str(folder), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOMEPORT_OFFLINE": "1"}


async def test_another_user_joins(
    cluster: "LocalCluster", gateway: Gateway, model: InstalledModel, folder: Path
) -> None:
    """A user with a copy of the token joins; the model that fits that node alone answers from there, as that user."""
    token = folder / "cluster-token"
    shutil.copy(cluster.token_file, token)
    token.chmod(0o600)
    os.chown(token, NOBODY, NOBODY)
    large = msgspec.structs.replace(model, facts=msgspec.structs.replace(model.facts, size_bytes=3_000_000_000))
    flags = ["--token-file", str(token), "--memory", "4GB"]
    with joined(cluster, flags, UNDER, variables(folder)) as child:
        await gateway.replicas._call("status")  # the controller looks at its nodes once a second, and now
        assert await answer(gateway.serving, "count 3", large) == "1 2 3 "
        assert gateway.nodes(large) == {"127.0.0.9"}
        assert gateway.replica_process(large).uids().real == NOBODY
        processes = psutil.Process(child.pid).children(recursive=True)
        child.terminate()
        assert child.wait(60) == 0
    _, alive = psutil.wait_procs(processes, 5)
    assert not alive
    data = folder / ".local" / "share" / "homeport"
    assert {path.lstat().st_uid for path in data.rglob("*")} == {NOBODY}
    assert (data / "scripted" / model.digest).is_dir()
