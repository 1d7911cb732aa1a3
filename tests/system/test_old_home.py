"""A home that an earlier commit's server wrote and left in the middle of its work is opened, resumed and served alike.

`make test` opens stored homes; `make soak` has that commit, from this repository's history, write new ones. With
`--full --write-pages` the new homes are stored in place of the old ones.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.conftest import home_folder
from tests.store.conftest import postgres as postgres
from tests.system.old_home import letters, write
from tests.system.old_home.program import Form, Program, Server, machine

pytestmark = pytest.mark.soak

ARCHIVES = Path(__file__).parents[1] / "data" / "old_home"
CHANGING = {"id", "created", "system_fingerprint", "service_tier", "usage"}
OF_KERNELS = {"kernels", "device", "notes", "loaded", "permission"}
NEWER = "made by a newer Homeport"
BEGUN = {"queued", "validating_files", "pending"}
COMMANDS = {
    "ps": letters.NAME,
    "usage --by project": "shop",
    "batch list": "batch_",
    f"run {letters.NAME}": "",
    f"stop {letters.NAME}": "",
}
MORE_COMMANDS = {
    "list": "q8_0",
    f"show {letters.NAME}": "q8_0",
    "keys list": "app",
    "keys show app": "shop",
    "db check": "",
    "version": "",
}


def weights() -> Path:
    """SmolLM2's file, as `make setup` fetched it."""
    found = list((home_folder() / "models" / write.STARTER).glob("*.gguf"))
    if len(found) != 1:
        pytest.fail(f"{write.STARTER} is not installed: run `make setup`")
    return found[0]


@pytest.fixture(scope="module")
def old_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The earlier commit's files."""
    target = tmp_path_factory.mktemp("old") / "source"
    try:
        write.check_out(target)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"this clone has no history, or not {write.COMMIT}")
    return target


@pytest.fixture(params=["sqlite", "postgresql"])
def host(request: pytest.FixtureRequest) -> str:
    """Where PostgreSQL's socket is; nothing for SQLite."""
    if request.param == "sqlite":
        return ""
    url = urlsplit(str(request.getfixturevalue("postgres")))
    return parse_qs(url.query)["host"][0]


@pytest.fixture
def opened(request: pytest.FixtureRequest, tmp_path: Path, host: str) -> Iterator[tuple[Program, Server, Any]]:
    """This commit's server on the earlier commit's home, and what the earlier one answered."""
    environment = {"PGHOST": host} if host else {}
    archive = ARCHIVES / ("postgresql.tar.xz" if host else "sqlite.tar.xz")
    if request.config.getoption("--full"):
        source = request.getfixturevalue("old_source")
        expected = write.write(Program(source, tmp_path, environment), weights(), host)
        if request.config.getoption("--write-pages"):
            write.store(tmp_path, archive, host)
    else:
        expected = write.restore(archive, tmp_path, weights(), host)
    program = Program(write.ROOT, tmp_path, environment)
    program.prepare()
    program.read("db", "upgrade")
    with program.serve() as server:
        yield program, server, expected


def differences(old: Any, new: Any, ignored: set[str], where: str = "") -> list[str]:
    """List where `new` differs from `old`; additional fields are not counted. Objects in lists are compared by id."""
    if isinstance(old, dict) and isinstance(new, dict):
        shared = [name for name in old if name not in ignored]
        return [d for n in shared for d in differences(old[n], new.get(n, "(missing)"), ignored, f"{where}.{n}")]
    if isinstance(old, list) and isinstance(new, list):
        by_id = {each["id"]: each for each in new if isinstance(each, dict) and "id" in each}
        pairs = [(e, by_id.get(e["id"], "(missing)")) for e in old if isinstance(e, dict) and "id" in e]
        if len(pairs) < len(old):
            pairs = list(zip(old, [*new, *["(missing)"] * len(old)], strict=False))
        return [d for n, (a, b) in enumerate(pairs) for d in differences(a, b, ignored, f"{where}[{n}]")]
    return [] if old == new else [f"{where}: {old!r} is now {new!r}"]


def test_an_old_home_opens_resumes_and_answers_alike(opened: tuple[Program, Server, Any]) -> None:
    """Keys are accepted as before, usage is counted to the last request, models and jobs are listed as before, equal
    requests get equal answers, the upload is completed, fine-tuning resumes, and the batch is finished.
    """
    program, server, expected = opened
    app = expected["keys"]["app"]["secret"]
    _check_prefix(server, expected, app)
    _check_usage(server, program, expected)
    _check_keys(server, expected)
    _check_models(server, expected["models"], app)
    _check_lists(server, expected)
    _check_answers(server, expected, app)
    _check_upload(server, expected["upload"], app)
    _check_fine_tunes(server, expected["fine_tunes"], app)
    _check_batch(server, expected["batch"], expected["keys"]["jobs"]["secret"])


def _check_prefix(server: Server, expected: Any, key: str) -> None:
    answer = server.ask("POST", "/v1/chat/completions", expected["prefix"], key)
    # Nothing is in memory yet, and what is on disk is of use to the same kernels alone.
    if expected["machine"] == machine():
        assert answer["usage"]["prompt_tokens_details"]["cached_tokens"] >= 64
    for name, value in answer["usage"].items():
        if name in expected["usage"]:
            expected["usage"][name] += value
    expected["usage"]["requests"] += 1


def _check_usage(server: Server, program: Program, expected: Any) -> None:
    [shop] = [
        row
        for row in server.ask("GET", "/admin/v1/usage?by=project", key=write.ADMIN)["data"]
        if row["project"] == "shop"
    ]
    assert not differences(expected["usage"], shop, set())
    rows = json.loads(program.read("usage", "--by", "project", "--json"))
    [shop] = [row for row in rows if row["project"] == "shop"]
    assert not differences(expected["usage"], shop, set())


def _check_keys(server: Server, expected: Any) -> None:
    for name, key in expected["keys"].items():
        status, answer = server.call("GET", "/v1/models", key=key["secret"])
        assert status == (200 if key["works"] else 401), f"{name}: {status} {answer!r}"
    assert server.call("GET", "/v1/models")[0] == 401
    wish = {"model": write.STARTER, "prompt": "a", "max_tokens": 1}
    assert server.call("POST", "/v1/completions", wish, expected["keys"]["limited"]["secret"])[0] == 403


def _check_models(server: Server, models: Any, key: str) -> None:
    """Ask for each by its name: which of OpenAI's names are in the list may change."""
    for model in models:
        now = server.ask("GET", f"/v1/models/{model['id']}", key=key)
        assert not differences(model, now, OF_KERNELS)


def _check_lists(server: Server, expected: Any) -> None:
    resumed = {expected["fine_tunes"]["under_way"], expected["fine_tunes"]["queued"]}
    for listed in expected["lists"]:
        key = write.ADMIN if listed["key"] == "admin" else expected["keys"][listed["key"]]["secret"]
        now = server.ask("GET", listed["path"], key=key)
        for each in listed["answer"]["data"]:
            if each["id"] in resumed:
                [found] = [other for other in now["data"] if other["id"] == each["id"]]
                assert {each.pop("status"), found["status"]} <= BEGUN
                each.pop("updated_at", None)
        assert not differences(listed["answer"]["data"], now["data"], OF_KERNELS), listed["path"]


def _check_answers(server: Server, expected: Any, key: str) -> None:
    asked = [each for each in expected["answers"] if each["is_portable"] or expected["machine"] == machine()]
    assert asked
    for each in asked:
        now = server.ask("POST", each["path"], each["body"], key)
        assert not differences(each["answer"], now, CHANGING), each["body"]


def _check_upload(server: Server, upload: Any, key: str) -> None:
    path = f"/v1/uploads/{upload['id']}"
    part = server.ask("POST", f"{path}/parts", Form({}, ("data", "data", upload["missing"].encode())), key)
    file = server.ask("POST", f"{path}/complete", {"part_ids": [*upload["sent"], part["id"]]}, key)["file"]
    assert server.call("GET", f"/v1/files/{file['id']}/content", key=key) == (200, upload["content"].encode())


def _check_fine_tunes(server: Server, jobs: Any, key: str) -> None:
    path = "/v1/fine_tuning/jobs"

    def status(name: str) -> str:
        return str(server.ask("GET", f"{path}/{jobs[name]}", key=key)["status"])

    failed = server.ask("GET", f"{path}/{jobs['failed']}", key=key)
    assert (failed["status"], failed["error"]["code"]) == ("failed", "missing_extra")
    assert status("paused") == "paused"
    server.wait("the job that was running resumes", lambda: status("under_way") == "validating_files")
    assert server.ask("POST", f"{path}/{jobs['paused']}/resume", key=key)["status"] == "queued"
    for name in ("under_way", "queued"):
        assert server.ask("POST", f"{path}/{jobs[name]}/cancel", key=key)["status"] == "cancelled"
    server.wait("the job that was paused resumes", lambda: status("paused") == "validating_files")


def _check_batch(server: Server, batch: Any, key: str) -> None:
    path = f"/v1/batches/{batch['id']}"
    server.wait("the batch ends", lambda: server.ask("GET", path, key=key)["status"] == "completed", 120)
    now = server.ask("GET", path, key=key)
    assert now["request_counts"] == {"total": write.BATCH_LINES, "completed": write.BATCH_LINES, "failed": 0}
    assert now["metadata"] == {"harbor": "old"}
    output = server.call("GET", f"/v1/files/{now['output_file_id']}/content", key=key)[1]
    answers = {line["custom_id"]: line["response"]["body"] for line in map(json.loads, output.splitlines())}
    assert len(output.splitlines()) == len(answers) == write.BATCH_LINES
    assert sum(answer["usage"]["completion_tokens"] for answer in answers.values()) == now["usage"]["output_tokens"]


@pytest.mark.parametrize("is_server_old", [False, True], ids=["old commands", "old server"])
def test_commands_and_servers_of_both_commits_understand_each_other(
    request: pytest.FixtureRequest, tmp_path: Path, old_source: Path, is_server_old: bool
) -> None:
    """This commit's commands work on the earlier one's server; the reverse works too, or the command refuses to touch
    the newer database. Either may ask for a restart of the server.
    """
    expected = write.restore(ARCHIVES / "sqlite.tar.xz", tmp_path, None)
    environment = {"HOMEPORT_MODELS": letters.NAME}
    old, new = Program(old_source, tmp_path, environment), Program(write.ROOT, tmp_path, environment)
    old.prepare()
    serving, commanding = (old, new) if is_server_old else (new, old)
    commands = MORE_COMMANDS | COMMANDS if request.config.getoption("--full") else COMMANDS
    refusals = ("restart",) if is_server_old else ("restart", NEWER)
    with serving.serve() as server:
        if not is_server_old:
            refused = commanding.run("keys", "create", "later")
            assert refused.returncode != 0
            assert NEWER in refused.stderr
            commanding = new
        made = json.loads(commanding.read("keys", "create", "later", "--json"))["secret"]
        server.wait("the new key opens", lambda: server.call("GET", "/v1/models", key=made)[0] == 200)
        for command, word in commands.items():
            done = (new if is_server_old else old).run(
                *command.split(), stdin="abc\n" if command.startswith("run") else ""
            )
            said = done.stdout + done.stderr
            assert (done.returncode == 0 and word in said) or any(each in said for each in refusals), (
                f"{command}: {said}"
            )
            assert "Traceback" not in said, said
        commanding.read("keys", "revoke", "app")
        app = expected["keys"]["app"]["secret"]
        server.wait("the revoked key is refused", lambda: server.call("GET", "/v1/models", key=app)[0] == 401)
