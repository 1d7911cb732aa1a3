"""Files and uploads over real HTTP, by both SDKs."""

import io
import os
import signal
from pathlib import Path
from typing import Any

import openai
import psutil
import pytest

from tests.system.client_programs import run_client
from tests.system.server import ServerProcess, running

LINES = b'{"prompt": "a", "completion": "b"}\n' * 20


def test_the_client_of_2023_keeps_files(server: ServerProcess, tmp_path: Path) -> None:
    """openai 0.28.1 uploads, shows, lists, finds, downloads and deletes a file, and gets an invalid line's error."""
    (tmp_path / "examples.jsonl").write_bytes(LINES)
    seen = run_client("files_2023", server.base, tmp_path / "examples.jsonl", timeout_s=120)
    sent: dict[str, Any] = seen["sent"]
    assert (sent["object"], sent["bytes"], sent["purpose"]) == ("file", len(LINES), "fine-tune")
    assert (sent["filename"], sent["status"]) == ("examples.jsonl", "uploaded")
    assert seen["shown"] == sent
    assert sent["id"] in seen["listed"]
    assert seen["matching"] == [sent["id"]]
    assert seen["content"].encode() == LINES
    assert seen["deleted"] == {"id": sent["id"], "object": "file", "deleted": True}
    assert seen["gone"]["class"] == "InvalidRequestError"
    assert (seen["bad"]["class"], seen["bad"]["param"]) == ("InvalidRequestError", "file")
    assert "Line 1" in seen["bad"]["message"]


def test_the_newest_client_keeps_files(client: openai.OpenAI) -> None:
    """The current SDK uploads with an expiry, waits, pages through lists, reads the content and deletes."""
    names = ["one.jsonl", "名.jsonl", "three.jsonl"]
    sent = [client.files.create(file=(name, LINES), purpose="fine-tune") for name in names]
    short = client.files.create(
        file=io.BytesIO(b"x"), purpose="user_data", expires_after={"anchor": "created_at", "seconds": 3600}
    )
    assert short.expires_at == short.created_at + 3600
    assert sent[0].status == "uploaded"
    found = client.files.wait_for_processing(sent[0].id, poll_interval=0.5)
    assert found == client.files.retrieve(sent[0].id) == sent[0].model_copy(update={"status": "processed"})
    ours = {file.id for file in sent}
    paged = [file.filename for file in client.files.list(purpose="fine-tune", order="asc", limit=2) if file.id in ours]
    assert paged == names
    assert client.files.content(sent[1].id).read() == LINES
    for file in (*sent, short):
        assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(sent[0].id)
    with pytest.raises(openai.BadRequestError, match="Line 21"):
        client.files.create(file=("bad.jsonl", LINES + b"{}\n"), purpose="fine-tune")


def test_the_newest_client_uploads_in_parts(client: openai.OpenAI, tmp_path: Path) -> None:
    """A large file is uploaded in parts, by hand and by the SDK's helper, and is unchanged."""
    whole = LINES * 2000
    upload = client.uploads.create(bytes=len(whole), filename="big.jsonl", mime_type="text/jsonl", purpose="fine-tune")
    cut = [whole[at : at + 500_000] for at in range(0, len(whole), 500_000)]
    ids = [client.uploads.parts.create(upload.id, data=part).id for part in cut]
    done = client.uploads.complete(upload.id, part_ids=ids)
    assert (done.status, done.file and done.file.bytes) == ("completed", len(whole))
    (tmp_path / "again.jsonl").write_bytes(whole)
    again = client.uploads.upload_file_chunked(
        file=tmp_path / "again.jsonl", mime_type="text/jsonl", purpose="fine-tune", part_size=600_000
    )
    assert again.file is not None
    assert client.files.content(again.file.id).read() == whole
    cancelled = client.uploads.create(bytes=5, filename="a", mime_type="text/plain", purpose="assistants")
    assert client.uploads.cancel(cancelled.id).status == "cancelled"


def test_a_large_file_is_streamed(tmp_path: Path, smollm2: Path) -> None:
    """200 MB are stored and returned while the gateway's memory does not grow; a kill loses no file."""
    assert smollm2.exists()
    (tmp_path / "big").write_bytes(os.urandom(1 << 20) * 200)
    kept = {"DATABASE_URL": f"sqlite:///{tmp_path}/kept.db", "BLOBS": str(tmp_path / "blobs")}
    with running(tmp_path / "log", "--model", "smollm2-135m", **kept) as server:
        before = psutil.Process(server.pid).memory_info().rss
        with openai.OpenAI(base_url=server.base, api_key="x", max_retries=0) as client:
            with (tmp_path / "big").open("rb") as file:
                sent = client.files.create(file=("big", file), purpose="user_data")
            with client.files.with_streaming_response.content(sent.id) as answer:
                size = sum(len(piece) for piece in answer.iter_bytes(1 << 20))
        assert size == sent.bytes == 200 << 20
        assert psutil.Process(server.pid).memory_info().rss - before < 60_000_000
        workers = server.workers()
        os.kill(server.pid, signal.SIGKILL)
        psutil.wait_procs(workers, 20)
    with (
        running(tmp_path / "log", "--model", "smollm2-135m", **kept) as server,
        openai.OpenAI(base_url=server.base, api_key="x", max_retries=0) as client,
    ):
        assert client.files.retrieve(sent.id) == sent
