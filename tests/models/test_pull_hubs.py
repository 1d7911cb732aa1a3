import errno
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any, Self

import msgspec
import pytest

from homeport.domain.errors import (
    Forbidden,
    HomeportError,
    InvalidRequest,
    NotFound,
    Unavailable,
)
from homeport.models import disk
from homeport.models.model_store import ModelStore
from homeport.models.pull import pull
from homeport.models.pull_options import PullOptions
from tests.models.fakes import COMMIT, REPO, FakeHub, Recorder, gguf

NAME = "tiny-q4_k_m"
FILE = "Tiny-Q4_K_M.gguf"
WEIGHTS = gguf(pad=300_000)
HUBS = pytest.mark.parametrize("scheme", ["hf", "ms"])


@pytest.fixture
def filled(hub: FakeHub) -> FakeHub:
    hub.files = {"README.md": b"# Tiny", FILE: WEIGHTS}
    return hub


@HUBS
def test_a_model_comes_whole_and_its_manifest_says_from_where(
    scheme: str, filled: FakeHub, store: ModelStore, options: PullOptions, progress: Recorder
) -> None:
    """A pull from a hub stores the file under its own name and records source, revision, size, hash and facts."""
    model = pull(f"{scheme}:{REPO}", store, options, progress)
    assert model.files["weights"].name == FILE
    assert model.files["weights"].read_bytes() == WEIGHTS
    made = store.manifest(NAME)
    assert (made.source, made.revision) == (f"{scheme}:{REPO}", COMMIT if scheme == "hf" else "master")
    assert made.digest == model.digest == hashlib.sha256(WEIGHTS).hexdigest()
    assert (model.facts.window, model.facts.capabilities) == (4096, ("chat", "completions", "edits"))
    assert model.facts.licence == "mit (unverified)"
    assert progress.done == progress.size == len(WEIGHTS)
    assert not list(store.folder(NAME).glob("*.part"))


@HUBS
def test_a_second_pull_moves_no_weights(
    scheme: str, filled: FakeHub, store: ModelStore, options: PullOptions, progress: Recorder
) -> None:
    """A file that is present and has the listed hash is not downloaded again."""
    pull(f"{scheme}:{REPO}", store, options, progress)
    pull(f"{scheme}:{REPO}", store, options, progress)
    assert len(filled.gets("resolve") + filled.gets("FilePath")) == 1


@HUBS
def test_cut_connections_are_resumed_where_they_broke(
    scheme: str, filled: FakeHub, store: ModelStore, options: PullOptions, progress: Recorder
) -> None:
    """A hub that breaks off every response is asked again from the first missing byte, until all is downloaded."""
    filled.cut_after = 120_000
    model = pull(f"{scheme}:{REPO}", store, options, progress)
    assert model.files["weights"].read_bytes() == WEIGHTS
    starts = [headers.get("range") for headers in filled.gets("resolve") + filled.gets("FilePath")]
    assert starts[0] is None
    offsets = [int((start or "").removeprefix("bytes=").rstrip("-")) for start in starts[1:]]
    assert offsets == sorted(set(offsets))
    assert offsets[0] > 60_000
    assert progress.done == len(WEIGHTS)


@HUBS
def test_a_hub_that_ignores_ranges_is_read_from_the_start(
    scheme: str, filled: FakeHub, store: ModelStore, options: PullOptions, progress: Recorder
) -> None:
    """If the response to a resumed transfer has the whole file, it replaces the partial file."""
    filled.cut_after = 120_000
    filled.ignores_range = True
    with pytest.raises(Unavailable, match="rerun the command"):
        pull(f"{scheme}:{REPO}", store, options, progress)
    filled.cut_after = None
    assert pull(f"{scheme}:{REPO}", store, options, progress).files["weights"].read_bytes() == WEIGHTS


@HUBS
def test_wrong_bytes_never_get_the_final_name(
    scheme: str, filled: FakeHub, store: ModelStore, options: PullOptions, progress: Recorder
) -> None:
    """A file of the right size and the wrong hash is deleted, and the message says so."""
    wrong = bytearray(WEIGHTS)
    wrong[-1] ^= 1
    filled.served[FILE] = bytes(wrong)
    with pytest.raises(Unavailable, match="wrong bytes"):
        pull(f"{scheme}:{REPO}", store, options, progress)
    assert store.find(NAME) is None
    assert not store.folder(NAME).exists()


@HUBS
@pytest.mark.parametrize(
    "refusal",
    [(401, Forbidden, "TOKEN"), (403, Forbidden, "accept its terms"), (404, NotFound, "does not exist")],
)
def test_a_refusal_says_what_to_do(
    scheme: str,
    refusal: tuple[int, type[HomeportError], str],
    filled: FakeHub,
    store: ModelStore,
    options: PullOptions,
    progress: Recorder,
) -> None:
    """Gated, private and missing repositories have one message that names the page and the setting."""
    filled.status, kind, says = refusal
    with pytest.raises(kind, match=says) as refused:
        pull(f"{scheme}:{REPO}", store, options, progress)
    assert filled.url in refused.value.message


@HUBS
def test_an_unreachable_hub_costs_little_time(scheme: str, store: ModelStore, progress: Recorder) -> None:
    """A host that accepts connections and never answers is abandoned after the set time, with the settings named."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        options = PullOptions(hf_endpoint=url, ms_endpoint=url, connect_s=0.3)
        begun = time.monotonic()
        with pytest.raises(Unavailable, match=r"(HF|MODELSCOPE)_ENDPOINT.*HOMEPORT_OFFLINE"):
            pull(f"{scheme}:{REPO}", store, options, progress)
        assert time.monotonic() - begun < 5


@HUBS
def test_offline_asks_no_network(
    scheme: str, filled: FakeHub, store: ModelStore, options: PullOptions, progress: Recorder
) -> None:
    """With the offline setting no request is sent, and the message names the setting."""
    with pytest.raises(Unavailable, match="HOMEPORT_OFFLINE"):
        pull(f"{scheme}:{REPO}", store, msgspec.structs.replace(options, offline=True), progress)
    assert filled.requests == []


@HUBS
def test_a_token_stays_with_its_endpoint(
    scheme: str, filled: FakeHub, store: ModelStore, options: PullOptions, progress: Recorder
) -> None:
    """The token is sent to the endpoint and not to the storage host that it redirects to."""
    with FakeHub() as storage:
        storage.files = filled.files
        filled.redirect_to = storage.url.replace("127.0.0.1", "localhost")
        tokens = msgspec.structs.replace(options, hf_token="secret-hf", ms_token="secret-ms")
        pull(f"{scheme}:{REPO}", store, tokens, progress)
        assert any(f"secret-{scheme}" in json.dumps(headers) for _, _, headers in filled.requests)
        assert storage.requests
        assert "secret" not in json.dumps(storage.requests)


class Full:
    """A file on a full disk."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def seek(self, offset: int) -> None:
        self._file.seek(offset)

    def write(self, data: bytes) -> int:
        self._file.write(data[:1000])
        raise OSError(errno.ENOSPC, "No space left on device")


@HUBS
def test_a_full_disk_is_found_before_and_during_the_transfer(
    scheme: str,
    filled: FakeHub,
    store: ModelStore,
    options: PullOptions,
    progress: Recorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Too little space is reported before any download; a disk that fills up keeps the bytes for the next run."""
    real_open = Path.open
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
        with pytest.raises(Unavailable, match="Not enough space") as early:
            pull(f"{scheme}:{REPO}", store, options, progress)
    assert early.value.code == disk.DISK_FULL
    assert not filled.gets("resolve") + filled.gets("FilePath")

    def open_full(path: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        opened = real_open(path, mode, *args, **kwargs)
        return Full(opened) if path.name.startswith(FILE) and "b" in mode and mode != "rb" else opened

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", open_full)
        with pytest.raises(Unavailable, match="Free some space") as late:
            pull(f"{scheme}:{REPO}", store, options, progress)
    assert late.value.code == disk.DISK_FULL
    assert store.find(NAME) is None
    assert pull(f"{scheme}:{REPO}", store, options, progress).files["weights"].read_bytes() == WEIGHTS
    last = (filled.gets("resolve") + filled.gets("FilePath"))[-1]
    assert last["range"] == "bytes=1000-"


def test_several_quantizations_need_a_choice(
    hub: FakeHub, store: ModelStore, options: PullOptions, progress: Recorder
) -> None:
    """Without a choice Q4_K_M is used if it exists; else all are listed; a colon selects one."""
    hub.files = {"Tiny-Q8_0.gguf": gguf(), "Tiny-IQ4_XS.gguf": gguf(pad=1)}
    with pytest.raises(InvalidRequest, match="IQ4_XS, Q8_0"):
        pull(f"hf:{REPO}", store, options, progress)
    assert pull(f"hf:{REPO}:q8_0", store, options, progress).facts.name == "tiny-q8_0"
    hub.files["Tiny-Q4_K_M.gguf"] = gguf(pad=2)
    assert pull(f"hf:{REPO}", store, options, progress).facts.name == "tiny-q4_k_m"


def test_a_split_model_is_one_model(hub: FakeHub, store: ModelStore, options: PullOptions, progress: Recorder) -> None:
    """All shards are downloaded, in order, under one name; the first is the engine's weights."""
    hub.files = {f"Q4_K_M/Big-Q4_K_M-0000{n}-of-00003.gguf": gguf(pad=n * 1000) for n in (2, 1, 3)}
    model = pull(f"hf:{REPO}:Q4_K_M", store, options, progress)
    assert [path.name[-20:] for path in model.files.values()] == [f"-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
    assert list(model.files) == ["weights", "weights-2", "weights-3"]
    assert model.facts.size_bytes == sum(len(data) for data in hub.files.values())
    del hub.files["Q4_K_M/Big-Q4_K_M-00002-of-00003.gguf"]
    store.remove(model.facts.name)
    with pytest.raises(InvalidRequest, match="only 2 of the 3"):
        pull(f"hf:{REPO}:Q4_K_M", store, options, progress)


def test_a_name_from_elsewhere_is_not_overwritten(
    filled: FakeHub, store: ModelStore, options: PullOptions, progress: Recorder
) -> None:
    """A model of the same name from another source is refused, with a hint to choose another name."""
    pull(f"hf:{REPO}", store, options, progress)
    with pytest.raises(InvalidRequest, match="--name"):
        pull(f"ms:{REPO}", store, options, progress)
    other = msgspec.structs.replace(options, name="mine")
    assert pull(f"ms:{REPO}", store, other, progress).facts.name == "mine"


CHILD = """
import sys
from pathlib import Path
from homeport.models.pull_options import PullOptions
from homeport.domain.operations import NullProgress
from homeport.models.pull import pull
from homeport.models.model_store import ModelStore
class Loud(NullProgress):
    def message(self, text): print(text, flush=True)
pull(sys.argv[3], ModelStore(Path(sys.argv[1])), PullOptions(hf_endpoint=sys.argv[2], ms_endpoint=sys.argv[2]), Loud())
"""


def child(store: ModelStore, hub: FakeHub, scheme: str = "hf") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, str(store.home), hub.url, f"{scheme}:{REPO}"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, stderr=subprocess.PIPE)


@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_pull_resumes(
    blow: signal.Signals, filled: FakeHub, store: ModelStore, options: PullOptions, progress: Recorder
) -> None:
    """After Ctrl-C or a kill no file has its final name, and the same command requests only the rest."""
    filled.files[FILE] = gguf(pad=6 << 20)
    filled.stalls = threading.Event()
    running = child(store, filled)
    assert filled.stalled.wait(20)
    deadline = time.monotonic() + 20
    while not (parts := list(store.folder(NAME).glob("*.part"))) or not parts[0].stat().st_size:
        assert time.monotonic() < deadline
        os.sched_yield()
    running.send_signal(blow)
    running.communicate(timeout=60)
    filled.stalls.set()
    filled.stalls = None
    assert not (store.folder(NAME) / FILE).exists()
    kept = parts[0].stat().st_size
    model = pull(f"hf:{REPO}", store, options, progress)
    assert model.files["weights"].read_bytes() == filled.files[FILE]
    assert filled.gets("resolve")[-1]["range"] == f"bytes={kept}-"


def test_two_processes_share_one_download(filled: FakeHub, store: ModelStore, progress: Recorder) -> None:
    """A process that pulls a model which another process is pulling waits for it and downloads nothing."""
    filled.stalls = threading.Event()
    with child(store, filled) as first:
        assert filled.stalled.wait(20)
        with child(store, filled) as second:
            assert second.stdout is not None
            assert "waiting" in second.stdout.readline()
            filled.stalls.set()
            assert second.wait(20) == 0
        assert first.wait(20) == 0
    assert len(filled.gets("resolve")) == 1
    assert store.find(NAME) is not None
