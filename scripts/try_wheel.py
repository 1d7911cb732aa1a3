"""Build the wheel, install it into a bare environment, start its server there and ask it one question.

Run by `make wheel`. The wheel stays in dist/; environment, data folder and log are removed. The model is copied from
the user's data folder if it is installed there, and fetched by the server otherwise.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import platformdirs

ROOT = Path(__file__).parent.parent
MODEL = "smollm2-135m"  # the smallest starter that answers questions
QUESTION = "What is the capital of Germany?"
START_LIMIT_S = 600  # fetching the model included
ANSWER_LIMIT_S = 120


def build() -> Path:
    """Build the wheel into dist/, in place of earlier ones."""
    dist = ROOT / "dist"
    for earlier in dist.glob("homeport-*.whl"):
        earlier.unlink()
    _run(ROOT, sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(dist))
    (wheel,) = dist.glob("homeport-*.whl")
    return wheel


def install(wheel: Path, environment: Path) -> None:
    """Create an environment with the locked dependencies and the wheel, and nothing else."""
    folder = environment.parent
    _run(folder, sys.executable, "-m", "venv", str(environment))
    pip = (str(environment / "bin" / "python"), "-m", "pip")
    flags = ("--quiet", "--disable-pip-version-check", "--no-deps")
    _run(folder, *pip, "install", *flags, "--require-hashes", "-r", str(ROOT / "requirements" / "run.txt"))
    _run(folder, *pip, "install", *flags, str(wheel))
    _run(folder, *pip, "check", "--disable-pip-version-check")


def copy_model(home: Path) -> bool:
    """Copy the model from the user's data folder. Returns False if it is not installed there."""
    data = Path(os.environ.get("HOMEPORT_HOME") or platformdirs.user_data_path("homeport", appauthor=False))
    installed = data / "models" / MODEL
    if not installed.is_dir():
        return False
    shutil.copytree(installed, home / "models" / MODEL)
    return True


@contextmanager
def serving(environment: Path, folder: Path) -> Iterator[str]:
    """Run `homeport serve` of the environment with a data folder of its own. Yields the server's address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    address = f"http://127.0.0.1:{port}"
    log = folder / "log"
    command = [str(environment / "bin" / "homeport"), "serve", "--port", str(port), "--model", MODEL]
    environ = {**_environ(), "HOMEPORT_HOME": str(folder / "home"), "HOMEPORT_OPTIMIZE": "off"}
    with log.open("wb") as output:
        server = subprocess.Popen(command, cwd=folder, env=environ, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait_until_ready(address, server)
        yield address
        server.terminate()
        if server.wait(timeout=60) != 0:
            raise RuntimeError(f"`homeport serve` ended with exit status {server.returncode}")
    except BaseException:
        print(log.read_text("utf-8", errors="replace")[-5000:], file=sys.stderr)
        raise
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()


def ask(address: str) -> str:
    """Send the question as a chat of one message and return the answer."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 40, "temperature": 0}
    answer = _request(f"{address}/v1/chat/completions", body, ANSWER_LIMIT_S)
    return str(answer["choices"][0]["message"]["content"]).strip()


def _run(folder: Path, *command: str) -> str:
    return subprocess.run(command, cwd=folder, env=_environ(), check=True, stdout=subprocess.PIPE, text=True).stdout


def _environ() -> dict[str, str]:
    """Return this process's environment without variables that select other code or other settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("HOMEPORT_", "PYTHON"))}


def _request(url: str, body: Any = None, timeout_s: float = 5) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=timeout_s) as response:  # noqa: S310 - loopback
        return json.load(response)


def _wait_until_ready(address: str, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_LIMIT_S
    while True:
        if server.poll() is not None:
            raise RuntimeError(f"`homeport serve` ended with exit status {server.returncode}")
        try:
            _request(f"{address}/health/ready")
            return
        except (urllib.error.URLError, TimeoutError) as error:
            if time.monotonic() > end:
                raise TimeoutError(f"the server is not ready after {START_LIMIT_S} s") from error
        time.sleep(0.2)


def main() -> None:
    """Build, install and ask; print the wheel, the question and the answer."""
    began = time.monotonic()
    wheel = build()
    print(f"{wheel.name}  {wheel.stat().st_size / 1e6:.1f} MB, built in {time.monotonic() - began:.0f} s")
    with tempfile.TemporaryDirectory(prefix="homeport-wheel-") as name:
        folder = Path(name)
        began = time.monotonic()
        install(wheel, folder / "environment")
        version = _run(folder, str(folder / "environment" / "bin" / "homeport"), "version").strip()
        print(f"{version}  installed in {time.monotonic() - began:.0f} s")
        origin = "copied from the data folder" if copy_model(folder / "home") else "fetched by the server"
        began = time.monotonic()
        with serving(folder / "environment", folder) as address:
            print(f"{MODEL}  {origin}, ready in {time.monotonic() - began:.0f} s")
            answer = ask(address)
        print(f"> {QUESTION}\n{answer}")
        if not answer:
            sys.exit("The answer is empty.")


if __name__ == "__main__":
    main()
