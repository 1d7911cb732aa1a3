"""`keys` and `db`: their calls, their output, and both with a real home."""

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from homeport.app import commands as app
from homeport.cli import commands
from homeport.domain.keys import KeyLimits, NewKey
from tests.cli.fake_application import FakeApplication


@pytest.fixture
def program() -> FakeApplication:
    return FakeApplication()


def run(program: object, *arguments: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(commands, list(arguments), obj=program, env=env)


def test_create_passes_every_flag_on(program: FakeApplication) -> None:
    """`keys create` passes on every flag and prints the secret as a shell command."""
    flags = ["--project", "team", "--model", "gpt-4", "--model", "small", "--requests-per-minute", "1"]
    flags += ["--tokens-per-minute", "2", "--tokens-per-day", "3", "--tokens-per-month", "4"]
    flags += ["--concurrent-requests", "5", "--expires-in", "2d"]
    result = run(program, "keys", "create", "bot", *flags)
    assert result.exit_code == 0, result.output
    limits = KeyLimits(
        requests_per_minute=1, tokens_per_minute=2, tokens_per_day=3, tokens_per_month=4, concurrent_requests=5
    )
    new_key = NewKey(name="bot", project="team", models=("gpt-4", "small"), limits=limits, expires_in_s=2 * 86_400)
    assert program.calls == [("create_key", new_key)]
    assert "export OPENAI_API_KEY=sk-secret\n" in result.stdout
    assert json.loads(run(program, "keys", "create", "bot", "--json").stdout)["secret"] == "sk-secret"


@pytest.mark.parametrize("flags", [("--expires-in", "soon"), ("--requests-per-minute", "0"), ()])
def test_create_refuses_invalid_values(program: FakeApplication, flags: tuple[str, ...]) -> None:
    """An invalid time, a limit of 0 and a missing name are usage errors."""
    name = ("bot",) if flags else ()
    assert run(program, "keys", "create", *name, *flags).exit_code == 2
    assert program.calls == []


def test_list_shows_valid_keys(program: FakeApplication) -> None:
    """`keys list` omits revoked and expired keys, except with --all."""
    listed = run(program, "keys", "list").stdout
    assert "5 tokens per day" in listed
    assert "old" not in listed
    everything = run(program, "keys", "list", "--all").stdout
    assert "expired 1970-01-01 00:00 UTC" in everything
    assert "revoked 1970-01-01 00:00 UTC" in everything
    assert [key["name"] for key in json.loads(run(program, "keys", "list", "--json").stdout)] == ["bot"]


def test_show_revoke_and_rotate_name_the_key(program: FakeApplication) -> None:
    """The other commands pass the name on and print the result; an unknown name is an error."""
    assert "project   team" in run(program, "keys", "show", "bot").stdout
    assert json.loads(run(program, "keys", "show", "bot", "--json").stdout)["id"] == "key_1"
    assert "key_1" in run(program, "keys", "revoke", "bot").stdout
    assert "sk-second" in run(program, "keys", "rotate", "bot").stdout
    unknown = run(program, "keys", "show", "nobody")
    assert (unknown.exit_code, unknown.stderr) == (1, "Error: No key is called nobody\n")


def test_database_commands_print_the_result(program: FakeApplication, tmp_path: Path) -> None:
    """`db upgrade`, `check` and `backup` print the result; `check` fails if there are faults."""
    assert run(program, "db", "upgrade").stdout == "the database is at 7 (new)\n"
    assert run(program, "db", "check").stdout == "the file has no faults\n"
    assert run(program, "db", "backup", str(tmp_path / "copy")).stdout == f"{tmp_path / 'copy'} (2.0 kB)\n"
    program.faults = ["torn"]
    result = run(program, "db", "check")
    assert (result.exit_code, result.stdout) == (1, "the file: torn\n")
    assert json.loads(run(program, "db", "check", "--json").stdout) == {"database": "the file", "faults": ["torn"]}


def test_a_real_home(tmp_path: Path) -> None:
    """In a real home, keys are created, found by name, rotated and revoked; the database is checked and copied."""
    home = ["--home", str(tmp_path)]
    created = json.loads(run(app, "keys", "create", "bot", "--json", *home).stdout)
    assert created["secret"].startswith("sk-")
    assert stat.S_IMODE((tmp_path / "homeport.db").stat().st_mode) == 0o600
    assert json.loads(run(app, "keys", "show", "bot", "--json", *home).stdout)["id"] == created["id"]
    assert json.loads(run(app, "keys", "rotate", "bot", "--json", *home).stdout)["secret"] != created["secret"]
    run(app, "keys", "create", "bot", *home)
    assert "several" in run(app, "keys", "revoke", "bot", *home).stderr
    assert run(app, "keys", "revoke", created["id"], *home).exit_code == 0
    assert "homeport keys list" in run(app, "keys", "revoke", "nobody", *home).stderr
    assert "has no faults" in run(app, "db", "check", *home).stdout
    assert run(app, "db", "backup", str(tmp_path / "copy.db"), *home).exit_code == 0
    assert "(new)" not in run(app, "db", "upgrade", *home).stdout


def test_a_stored_key_permits_an_address(tmp_path: Path) -> None:
    """An address that other machines can reach is refused before the first key exists, and accepted after."""
    check = ["config", "check", "--host", "192.0.2.1", "--home", str(tmp_path)]
    refused = run(app, *check)
    assert "homeport keys create" in refused.stderr
    assert not (tmp_path / "homeport.db").exists()
    run(app, "keys", "create", "bot", "--home", str(tmp_path))
    assert run(app, *check).exit_code == 0


def test_a_model_that_is_not_installed_is_refused(tmp_path: Path) -> None:
    """A key cannot be created for a model that is not installed."""
    result = run(app, "keys", "create", "bot", "--model", "nowhere", "--home", str(tmp_path))
    assert result.exit_code == 1
    assert "nowhere" in result.stderr
