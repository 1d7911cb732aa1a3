"""Write a home with an earlier commit's server: `python -m tests.system.old_home.write`, from the repository's root.

Everything in the home is made by that commit's own commands and server, with three exceptions. SmolLM2's manifest is a
copy. PyTorch is replaced by a stand-in that waits or fails, so nothing is trained: one fine-tuning job has failed, one
is paused, one under way, one queued, one cancelled. The error without a code of a further job is written by SQL.

The server is killed in the middle of a batch, with usage that is in no database yet. With `--store` the home goes into
an archive, without SmolLM2's weights and with dates of expiry in the year 2100.
"""

import argparse
import json
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.system.old_home import letters, postgres
from tests.system.old_home.program import Form, Program, Server, machine

COMMIT = "8a94aca"
ROOT = Path(__file__).parents[3]
STARTER = "smollm2-135m"
ADAPTER, PRIVATE_ADAPTER = "ft:letters:old-harbor::shared01", "ft:letters:old-harbor:own:private1"
ADMIN = "admin-key-of-the-old-home"
EXPECTED, DUMP = "expected.json", "database.sql"
BATCH_LINES, MIN_DONE = 24, 2
_YEAR_2100 = 4_102_444_800
_SETTINGS = f"""\
models: [{letters.NAME}, {STARTER}]
default_model: {letters.NAME}
aliases: {{gpt-4: {STARTER}, harbor-clerk: {letters.NAME}}}
organization: old-harbor
admin_key: {ADMIN}
threads: 1
offline: true
optimize: "off"
"""
_REFUSAL = '["InvalidRequest","This example is refused.",null,null,null]'
_INSTALL = """
import sys
from pathlib import Path
from homeport.models import tuned
from homeport.models.store import Store

home, name, file, project = sys.argv[1:]
tuned.install(Store(Path(home)), name, "letters", {"adapter": Path(file)}, "trained elsewhere", project or None)
"""
_SYSTEM = "You are the clerk of a small harbor and know every ship, every pier and every lighthouse of the coast. " * 2


def check_out(target: Path) -> None:
    """Put the earlier commit's files into a folder."""
    target.mkdir(parents=True)
    archive = subprocess.run(["git", "archive", COMMIT, "src"], cwd=ROOT, capture_output=True, check=True)
    subprocess.run(["tar", "-x", "-C", str(target)], input=archive.stdout, check=True)


def write(program: Program, weights: Path, host: str = "") -> Any:
    """Write a home; return what its server answered. `weights`: SmolLM2's file; `host`: PostgreSQL's, or SQLite."""
    if host:
        postgres.create(host)
    program.place.mkdir(parents=True, exist_ok=True)
    program.prepare()
    database = f"database_url: {postgres.URL}\n" if host else ""
    (program.place / "config.yaml").write_text(_SETTINGS + database, encoding="utf-8")
    program.read("db", "upgrade")
    _install_models(program, weights)
    expected: dict[str, Any] = {"commit": COMMIT, "machine": machine(), "keys": _create_keys(program)}
    with program.serve() as server:
        Recorder(server, program, expected, host).record()
    n_imported = count_usage(program.place, host)
    assert n_imported < expected["usage"]["requests"], "all usage is in the database already: try again"
    (program.place / EXPECTED).write_text(json.dumps(expected, indent=1), encoding="utf-8")
    return expected


def restore(archive: Path, place: Path, weights: Path | None, host: str = "") -> Any:
    """Unpack a stored home; return what its server answered. `weights` None: SmolLM2 is not installed in it."""
    with tarfile.open(archive) as packed:
        packed.extractall(place, filter="data")
    if weights is not None:
        link_starter(place / "home", weights)
    if host:
        postgres.create(host)
        postgres.restore(host, place / DUMP)
    return json.loads((place / EXPECTED).read_text(encoding="utf-8"))


def link_starter(home: Path, weights: Path) -> None:
    """Link SmolLM2's file into a home."""
    (home / "models" / STARTER / weights.name).symlink_to(weights)


def count_usage(place: Path, host: str) -> int:
    """Count the requests of the key `app` whose usage is in the database."""
    return int(execute(place, host, "SELECT count(*) FROM usage WHERE project = 'shop'"))


def execute(place: Path, host: str, statement: str) -> str:
    """Execute an SQL statement in a home's database; return the one value that it reads."""
    if host:
        return postgres.execute(host, statement).strip()
    with closing(sqlite3.connect(place / "home" / "homeport.db")) as connection, connection:
        return "".join(str(value) for row in connection.execute(statement) for value in row)


def store(place: Path, archive: Path, host: str) -> None:
    """Pack a home for tests that open it at any later time."""
    tables = ("files", "uploads", "batches")
    for table in tables:
        execute(place, host, f"UPDATE {table} SET expires_at = {_YEAR_2100} WHERE expires_at > 0")  # noqa: S608
    if host:
        postgres.dump(host, place / DUMP)

    def without_weights(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        member.uname = member.gname = ""
        return None if member.issym() else member

    with tarfile.open(archive, "w:xz") as packed:
        for path in sorted(place.iterdir()):
            if path.name in ("home", "config.yaml", EXPECTED, DUMP):
                packed.add(path, path.name, filter=without_weights)


def _install_models(program: Program, weights: Path) -> None:
    folder = program.home / "models" / STARTER
    folder.mkdir(parents=True)
    shutil.copy(weights.with_name("manifest.json"), folder)
    link_starter(program.home, weights)
    with tempfile.TemporaryDirectory() as made:
        file = Path(made) / f"{letters.NAME}.gguf"
        letters.write_model(file)
        program.read("pull", f"file:{file}")
        program.read("optimize", letters.NAME, "--layout", "q8_0")
        for name, project in ((ADAPTER, ""), (PRIVATE_ADAPTER, "shop")):
            adapter = Path(made) / "adapter.gguf"
            letters.write_adapter(adapter)
            subprocess.run(
                [sys.executable, "-c", _INSTALL, str(program.home), name, str(adapter), project],
                env={"PYTHONPATH": str(program.source / "src")},
                check=True,
            )


def _create_keys(program: Program) -> dict[str, Any]:
    wishes = {
        "app": ("--project", "shop", "--tokens-per-month", "10000000", "--concurrent-requests", "50"),
        "jobs": (),
        "limited": ("--model", letters.NAME, "--requests-per-minute", "1000"),
        "rotated": (),
        "revoked": (),
        "expired": ("--expires-in", "1s"),
    }
    keys = {}
    for name, flags in wishes.items():
        keys[name] = json.loads(program.read("keys", "create", name, *flags, "--json"))
    keys["old"] = keys["rotated"]
    keys["rotated"] = json.loads(program.read("keys", "rotate", "rotated", "--json"))
    program.read("keys", "revoke", "revoked")
    works = ("app", "jobs", "limited", "rotated")
    return {name: {"id": key["id"], "secret": key["secret"], "works": name in works} for name, key in keys.items()}


class Recorder:
    """Fills a home through its server, and records the answers."""

    def __init__(self, server: Server, program: Program, expected: dict[str, Any], host: str) -> None:
        self._host = host
        self._server = server
        self._program = program
        self._expected = expected
        self._usage = dict.fromkeys(("requests", "prompt_tokens", "completion_tokens"), 0)

    def record(self) -> None:
        """Do all of it; the batch is under way at the end, and the latest usage is in no database."""
        self._expected["fine_tunes"] = self._fine_tunes()
        self._expected["upload"] = self._upload()
        self._expected["prefix"] = self._keep_prefix()
        self._expected["answers"] = [
            {**wish, "answer": self._ask(wish["path"], wish["body"])} for wish in self._questions()
        ]
        self._expected["models"] = self._server.ask("GET", "/v1/models", key=self._secret("app"))["data"]
        self._expected["lists"] = [
            {"path": path, "key": key, "answer": self._server.ask("GET", path, key=self._secret(key))}
            for path, key in (
                ("/v1/files?purpose=fine-tune", "app"),
                ("/v1/fine_tuning/jobs", "app"),
                ("/v1/fine-tunes", "app"),
                (f"/v1/fine_tuning/jobs/{self._expected['fine_tunes']['failed']}/events", "app"),
                ("/admin/v1/keys", "admin"),
            )
        ]
        self._expected["batch"] = self._batch()
        for _ in range(2):
            self._ask("/v1/completions", {"model": letters.NAME, "prompt": "the last", "max_tokens": 3})
        self._expected["usage"] = self._usage

    def _secret(self, key: str) -> str:
        return ADMIN if key == "admin" else str(self._expected["keys"][key]["secret"])

    def _ask(self, path: str, body: Any) -> Any:
        """Ask as the key `app`, whose usage is counted here too."""
        answer = self._server.ask("POST", path, body, self._secret("app"))
        self._usage["requests"] += 1
        for name in ("prompt_tokens", "completion_tokens"):
            self._usage[name] += answer["usage"][name]
        return answer

    def _file(self, name: str, purpose: str, content: str, key: str) -> str:
        form = Form({"purpose": purpose}, ("file", name, content.encode()))
        return str(self._server.ask("POST", "/v1/files", form, self._secret(key))["id"])

    def _fine_tunes(self) -> dict[str, str]:
        key = self._secret("app")
        example = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "bc"}]}
        file = self._file("examples.jsonl", "fine-tune", (json.dumps(example) + "\n") * 12, "app")
        wish = {"model": letters.NAME, "training_file": file, "seed": 7, "suffix": "harbor"}
        jobs = "/v1/fine_tuning/jobs"

        def begin(until: str) -> str:
            id = self._server.ask("POST", jobs, wish, key)["id"]
            self._wait_for_job(id, until)
            return str(id)

        def change(id: str, how: str) -> str:
            self._server.ask("POST", f"{jobs}/{id}/{how}", key=key)
            return id

        self._program.break_training(True)
        made = {"failed": begin("failed")}
        self._program.break_training(False)
        made["paused"] = change(begin("validating_files"), "pause")
        self._wait_for_job(made["paused"], "paused")
        made["under_way"] = begin("validating_files")
        old_wish = {"model": letters.NAME, "training_file": self._prompts("app")}
        made["queued"] = self._server.ask("POST", "/v1/fine-tunes", old_wish, key)["id"]
        made["cancelled"] = change(begin("queued"), "cancel")
        made["refused"] = change(begin("queued"), "cancel")
        values = f"status = 'failed', error = '{_REFUSAL}'"
        execute(self._program.place, self._host, f"UPDATE fine_tunes SET {values} WHERE id = '{made['refused']}'")  # noqa: S608
        return made

    def _prompts(self, key: str) -> str:
        line = json.dumps({"prompt": "a", "completion": " bc"}) + "\n"
        return self._file("prompts.jsonl", "fine-tune", line * 12, key)

    def _wait_for_job(self, id: str, status: str) -> None:
        path, key = f"/v1/fine_tuning/jobs/{id}", self._secret("app")
        self._server.wait(f"{id} is {status}", lambda: self._server.ask("GET", path, key=key)["status"] == status)

    def _upload(self) -> dict[str, Any]:
        parts = [f"part {number} of a longer text\n" * 50 for number in range(3)]
        wish = {"filename": "long.txt", "purpose": "user_data", "mime_type": "text/plain"}
        key = self._secret("app")
        id = self._server.ask("POST", "/v1/uploads", {**wish, "bytes": len("".join(parts))}, key)["id"]
        sent = [
            self._server.ask("POST", f"/v1/uploads/{id}/parts", Form({}, ("data", "data", part.encode())), key)["id"]
            for part in parts[:2]
        ]
        return {"id": id, "sent": sent, "missing": parts[2], "content": "".join(parts)}

    def _keep_prefix(self) -> dict[str, Any]:
        """Repeat a conversation until the server has stored its prefix on disk; return it."""
        folder = self._program.home / "prefixes" / letters.NAME
        messages = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": "hello"}]
        body = {"model": letters.NAME, "messages": messages, "max_tokens": 2}

        def is_kept() -> bool:
            self._ask("/v1/chat/completions", body)
            return any(folder.glob("*.prefix"))

        self._server.wait("a prefix is kept", is_kept)
        return body

    def _questions(self) -> list[dict[str, Any]]:
        def chat(model: str, text: str, is_portable: bool, **wish: Any) -> dict[str, Any]:
            body = {"model": model, "messages": [{"role": "user", "content": text}], **wish}
            return {"path": "/v1/chat/completions", "body": body, "is_portable": is_portable}

        def complete(model: str, text: str, **wish: Any) -> dict[str, Any]:
            return {"path": "/v1/completions", "body": {"model": model, "prompt": text, **wish}, "is_portable": True}

        sampled = {"temperature": 1, "seed": 11}
        return [
            complete(letters.NAME, "abc", max_tokens=12, temperature=0),
            complete(letters.NAME, "abc", max_tokens=30, n=2, **sampled),
            complete("harbor-clerk", "m", max_tokens=9, **sampled),
            complete(ADAPTER, "abc", max_tokens=6, temperature=0),
            complete(PRIVATE_ADAPTER, "abc", max_tokens=6, **sampled),
            chat("gpt-3.5-turbo", "hello", True, max_tokens=8, **sampled),
            chat(letters.NAME, "hello", True, max_tokens=8, stop=["e"], **sampled),
            chat("gpt-4", "Count from one to twenty.", False, temperature=0, max_tokens=16),
            chat(STARTER, "Tell me of the sea.", False, n=2, max_tokens=16, **sampled),
        ]

    def _batch(self) -> dict[str, Any]:
        lines = []
        for number in range(BATCH_LINES):
            body = {"model": STARTER, "prompt": f"Ship {number} is", "max_tokens": 24, "seed": number}
            lines.append({"custom_id": f"line-{number}", "method": "POST", "url": "/v1/completions", "body": body})
        file = self._file("lines.jsonl", "batch", "".join(json.dumps(line) + "\n" for line in lines), "jobs")
        key = self._secret("jobs")
        wish = {"input_file_id": file, "endpoint": "/v1/completions", "completion_window": "24h"}
        id = self._server.ask("POST", "/v1/batches", {**wish, "metadata": {"harbor": "old"}}, key)["id"]
        path = f"/v1/batches/{id}"
        found: dict[str, Any] = {}

        def is_half_done() -> bool:
            found.update(self._server.ask("GET", path, key=key))
            return bool(found["request_counts"]["completed"] >= MIN_DONE)

        self._server.wait("some lines of the batch are done", is_half_done)
        assert found["request_counts"]["completed"] < BATCH_LINES, "the batch was done too soon"
        return {"id": id, "answer": found}


def main() -> None:
    """Write a home, and store it if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("place", type=Path, help="folder to write the home and its settings into")
    parser.add_argument("--weights", type=Path, required=True, help="SmolLM2's GGUF file in the models folder")
    parser.add_argument("--postgres-host", default="", help="folder of a PostgreSQL server's socket; default: SQLite")
    parser.add_argument("--store", type=Path, help="archive to write")
    asked = parser.parse_args()
    source = asked.place / "source"
    check_out(source)
    environment = {"PGHOST": asked.postgres_host} if asked.postgres_host else {}
    write(Program(source, asked.place, environment), asked.weights, asked.postgres_host)
    if asked.store:
        store(asked.place, asked.store, asked.postgres_host)


if __name__ == "__main__":
    main()
