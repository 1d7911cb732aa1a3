"""Commands: what each calls, and what it prints."""

import codecs
import io
import json
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

import homeport
from homeport import cli
from homeport.cli import commands
from homeport.cli.output import human_size, shorten_list
from homeport.domain.operations import Finding
from tests.cli.fake_application import FakeApplication


@pytest.fixture
def program() -> FakeApplication:
    return FakeApplication()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def run(program: FakeApplication, *arguments: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(commands, list(arguments), obj=program, env=env)


def test_serve_pulls_missing_models_then_serves(program: FakeApplication) -> None:
    """`serve` pulls missing models, then serves, and prints the URL, key, models, aliases and kernels."""
    program.missing = ["small"]
    result = run(program, "serve", "--model", "small", "--port", "9", "--alias", "x=small", "--offline")
    assert result.exit_code == 0, result.output
    assert program.calls == [("missing_models", None), ("pull_model", "small"), ("serve", None)]
    assert "  tuned    3 more, fine-tuned from these (all: homeport list)\n" in result.output
    assert program.settings is not None
    assert (program.settings.models, program.settings.port, program.settings.offline) == (("small",), 9, True)
    assert program.settings.aliases == {"x": "small"}
    assert "export OPENAI_BASE_URL=http://127.0.0.1:9/v1\n" in result.stdout
    assert "export OPENAI_API_KEY=homeport\n" in result.stdout
    assert "gpt-4, ada -> small" in result.stdout
    assert "AVX2 kernels" in result.stdout
    assert "a note" in result.stdout


def test_a_starter_that_cannot_be_pulled_is_skipped(program: FakeApplication) -> None:
    """If no model is named, `serve` reports a starter that cannot be pulled and serves the others."""
    program.missing = ["voices", "small"]
    result = run(program, "serve")
    assert result.exit_code == 0, result.output
    assert "Continuing without voices: no model is called voices" in result.stderr
    assert program.calls[-2:] == [("pull_model", "small"), ("serve", None)]


def test_serve_needs_the_named_models_and_at_least_one(program: FakeApplication) -> None:
    """The start fails if a model named by flag cannot be pulled, and if no starter can be."""
    program.missing = ["voices"]
    assert run(program, "serve", "--model", "voices").exit_code == 1
    program.present = []
    assert run(program, "serve").exit_code == 1
    assert ("serve", None) not in program.calls


def test_wrong_setting_stops_the_start(program: FakeApplication) -> None:
    """A misspelled variable ends `serve` with status 1 and the nearest match, before anything runs."""
    result = run(program, "serve", env={"HOMEPORT_SLOTZ": "3"})
    assert result.exit_code == 1
    assert "HOMEPORT_SLOTZ" in result.stderr
    assert "HOMEPORT_SLOTS" in result.stderr
    assert program.calls == []


def test_flag_overrides_environment(program: FakeApplication) -> None:
    """A flag overrides the variable of the same setting."""
    run(program, "serve", "--port", "1", env={"HOMEPORT_PORT": "2", "HOMEPORT_SLOTS": "3"})
    assert program.settings is not None
    assert (program.settings.port, program.settings.slots) == (1, 3)


def test_secrets_have_no_flag(program: FakeApplication) -> None:
    """Keys have no flag, because other users could read it."""
    assert run(program, "serve", "--api-keys", "secret").exit_code == 2


def test_pull_takes_a_projector_for_one_model(program: FakeApplication) -> None:
    """A projector belongs to the one model that is named; `none` may be said of several."""
    assert run(program, "pull", "small", "--projector", "eye.gguf").exit_code == 0
    assert run(program, "pull", "small", "small", "--projector", "none").exit_code == 0
    pulled = [argument for function, argument in program.calls if function == "pull_model"]
    assert pulled == ["small eye.gguf", "small none", "small none"]
    assert run(program, "pull", "small", "small", "--projector", "eye.gguf").exit_code == 2


def test_pull_prints_each_model(program: FakeApplication) -> None:
    """`pull` pulls each reference in turn and prints its name and size, or its facts as JSON."""
    result = run(program, "pull", "small", "small")
    assert [call for call in program.calls if call[0] == "pull_model"] == [("pull_model", "small")] * 2
    assert result.stdout == "small is installed (98 MB)\n" * 2
    assert json.loads(run(program, "pull", "small", "--json").stdout)[0]["licence"] == "Apache-2.0"


def test_failed_pull_prints_the_reason(program: FakeApplication) -> None:
    """A failed pull ends with status 1 and the error's message, without a traceback."""
    result = run(program, "pull", "smal")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Error: no model is called smal" in result.stderr


def test_interrupted_pull_says_how_to_resume(program: FakeApplication) -> None:
    """After Ctrl-C, `pull` says that the same command resumes."""
    result = run(program, "pull", "slow")
    assert result.exit_code == 1
    assert "Rerun the same command to resume." in result.stderr


@pytest.mark.parametrize("name", ["list", "ls"])
def test_list_shows_models_with_their_aliases(program: FakeApplication, name: str) -> None:
    """`list` and `ls` print one row per model, with its aliases."""
    head, row = run(program, name).stdout.splitlines()
    assert head.split() == ["MODEL", "KIND", "SIZE", "LAYOUT", "WINDOW", "LICENCE", "ALIASES"]
    assert row.split() == ["small", "text", "98", "MB", "original", "8192", "Apache-2.0", "gpt-4"]
    printed = json.loads(run(program, name, "--json").stdout)
    assert printed["models"][0]["name"] == "small"
    assert printed["aliases"][0]["encoding"] == "cl100k_base"


def test_list_aliases_prints_every_alias(program: FakeApplication) -> None:
    """`list --aliases` prints every alias with its model; the table of models shows the first few only."""
    assert run(program, "list", "--aliases").stdout.split() == ["NAME", "MODEL", "gpt-4", "small"]
    assert shorten_list(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
    assert shorten_list(["a", "b", "c"]) == "a, b, c"


def test_show_prints_every_fact(program: FakeApplication) -> None:
    """`show` prints each entry of a list and each line of a text on its own line."""
    lines = [line.split() for line in run(program, "show", "small").stdout.splitlines()]
    assert lines == [["name", "small"], ["files", "a"], ["b"], ["template", "one"], ["two"], ["empty"]]
    assert json.loads(run(program, "show", "small", "--json").stdout)["files"] == ["a", "b"]


def test_rm_prints_the_bytes_freed(program: FakeApplication) -> None:
    """`rm` removes each named model and prints the bytes freed."""
    assert run(program, "rm", "a", "b").stdout == "a is removed (1.5 kB freed)\nb is removed (1.5 kB freed)\n"


def test_kernels_install_and_show(program: FakeApplication, home: Path) -> None:
    """Kernels are installed by variant or from a file; a failure ends with status 1."""
    file = home / "kernels.tgz"
    file.touch()
    assert run(program, "kernels", "install", "vulkan", "--file", str(file)).stdout == "vulkan kernels installed\n"
    assert program.calls == [("install_kernels", ("vulkan", file))]
    assert run(program, "kernels", "install", "--if-missing").stdout == ""
    assert "vulkan" in run(program, "kernels", "install", "vulkan", "--if-missing").stdout
    assert [call for call, _ in program.calls[1:]] == ["has_kernels", "has_kernels", "install_kernels"]
    assert run(program, "kernels", "install", "cuda").exit_code == 1
    assert run(program, "kernels", "show").stdout == "AVX2 kernels\n"
    assert json.loads(run(program, "kernels", "show", "--json").stdout) == {"kernels": "AVX2 kernels"}


def test_doctor_fails_on_a_bad_finding(program: FakeApplication) -> None:
    """`doctor` prints every finding with its remedy; the exit status is 1 only if one is bad."""
    program.findings = [Finding("disk", "warning", "1 GB free", "remove models")]
    result = run(program, "doctor")
    assert result.exit_code == 0
    assert "1 GB free" in result.stdout
    assert "-> remove models" in result.stdout
    program.findings.append(Finding("port", "bad", "in use"))
    assert run(program, "doctor", "--online").exit_code == 1
    assert program.calls == [("diagnose", False), ("diagnose", True)]
    assert [finding["state"] for finding in json.loads(run(program, "doctor", "--json").stdout)] == ["warning", "bad"]


def test_config_show_masks_and_names_origins(program: FakeApplication) -> None:
    """`config show` prints where each value was set, and secrets masked."""
    env = {"HOMEPORT_API_KEYS": "sk-0123456789abcdef", "HOMEPORT_SLOTS": "3"}
    rows = {line.split()[0]: line for line in run(program, "config", "show", env=env).stdout.splitlines()}
    assert rows["slots"].split() == ["slots", "3", "HOMEPORT_SLOTS"]
    assert rows["port"].split() == ["port", "8080", "default"]
    assert "0123456789" not in rows["api_keys"]
    printed = json.loads(run(program, "config", "show", "--json", env=env).stdout)
    assert printed["slots"] == {"value": 3, "set_by": "HOMEPORT_SLOTS"}


def test_config_check_reports_errors(program: FakeApplication, home: Path) -> None:
    """`config check` ends with 0 for a valid file, and with 1 and the reason for an invalid one."""
    file = home / "homeport.yaml"
    file.write_text("slots: 3\n")
    assert "1 set" in run(program, "config", "check", "--config", str(file)).stdout
    file.write_text("slot: 3\n")
    result = run(program, "config", "check", "--config", str(file))
    assert result.exit_code == 1
    assert "did you mean slots?" in result.stderr


def test_version(program: FakeApplication) -> None:
    """`version` prints this version."""
    assert f"homeport {homeport.__version__} " in run(program, "version").stdout
    assert json.loads(run(program, "version", "--json").stdout)["homeport"] == homeport.__version__


def test_every_command_has_help() -> None:
    """Every command and every option has a help text."""
    every_command: list[click.Command] = [commands]
    for command in every_command:
        assert command.help, command.name
        assert not [option.name for option in command.params if isinstance(option, click.Option) and not option.help]
        if isinstance(command, click.Group):
            every_command.extend(command.commands.values())
    assert len(every_command) > 15


@pytest.mark.parametrize(
    ("n_bytes", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (98_362_432, "98 MB"), (1_117_320_768, "1.1 GB")],
)
def test_sizes_are_readable(n_bytes: int, shown: str) -> None:
    """Sizes have two or three digits and a unit."""
    assert human_size(n_bytes) == shown


def test_a_byte_order_mark_before_piped_text_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard input is read from after the byte order mark, which editors on Windows write."""
    read: list[str] = []
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(codecs.BOM_UTF8 + b"text"), encoding="utf-8"))
    monkeypatch.setattr(cli, "commands", lambda **_: read.append(sys.stdin.read()))
    monkeypatch.setattr(cli, "limit_thread_spinning", lambda: None)
    cli.main()
    assert read == ["text"]
