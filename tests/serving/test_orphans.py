"""No worker outlives its gateway, however the gateway ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from tests.serving.conftest import DEADLINE_S


@contextmanager
def gateway(prompt: str) -> Iterator[tuple[subprocess.Popen[str], psutil.Process]]:
    """Run a gateway process with one busy worker."""
    paths = os.pathsep.join(sys.path)
    boot = f"import os, runpy, sys; sys.path[:] = {paths!r}.split(os.pathsep); "
    code = (
        boot
        + f"sys.argv = ['gateway', {prompt!r}]; runpy.run_module('tests.serving.gateway_process', run_name='__main__')"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, psutil.Process(int(process.stdout.readline()))
        finally:
            process.kill()


def ends(worker: psutil.Process) -> bool:
    """Return whether a worker ends within the deadline. An orphan that is not reaped counts as ended."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        try:
            worker.wait(0.1)
        except psutil.TimeoutExpired:
            if worker.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        else:
            return True
    return False


@pytest.mark.parametrize("prompt", ["wait", "stubborn"])
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_worker_dies_with_its_gateway(prompt: str, end: signal.Signals) -> None:
    """A gateway that dies at once, without a message, leaves no worker."""
    with gateway(prompt) as (process, worker):
        process.send_signal(end)
        process.wait(DEADLINE_S)
        assert ends(worker)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills a stopped child with its parent")
def test_stopped_worker_dies_with_its_gateway() -> None:
    """Even a stopped worker, which cannot run code, ends with its gateway."""
    with gateway("wait") as (process, worker):
        worker.suspend()
        process.kill()
        process.wait(DEADLINE_S)
        assert ends(worker)


def test_workers_ignore_the_terminal() -> None:
    """Ctrl-C and SIGTERM are the gateway's: a worker that receives them continues."""
    with gateway("wait") as (process, worker):
        worker.send_signal(signal.SIGINT)
        worker.send_signal(signal.SIGTERM)
        with pytest.raises(psutil.TimeoutExpired):
            worker.wait(0.3)
        assert process.poll() is None
        assert os.getsid(worker.pid) == worker.pid
