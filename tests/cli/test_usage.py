"""`usage`: its calls and its output."""

import json

import pytest
from click.testing import CliRunner, Result

from homeport.cli import commands
from homeport.domain.usage import UsageQuery
from tests.cli.fake_application import FakeApplication


@pytest.fixture
def program() -> FakeApplication:
    return FakeApplication()


def run(program: FakeApplication, *arguments: str) -> Result:
    return CliRunner().invoke(commands, ["usage", *arguments], obj=program)


def test_usage_passes_every_flag_on(program: FakeApplication) -> None:
    """Days are in UTC, a group is passed on once, and `day` sets the width instead of a group."""
    flags = ["--by", "key", "--by", "day", "--by", "key", "--since", "1970-01-02", "--until", "1970-01-03"]
    assert run(program, *flags, "--project", "team").exit_code == 0
    query = UsageQuery(since=86_400, until=172_800, width_s=86_400, by=("key",), projects=("team",))
    assert program.calls == [("sum_usage", query)]


def test_usage_prints_tables_csv_and_json(program: FakeApplication) -> None:
    """The same rows are printed as a table, as CSV and as JSON."""
    table = run(program, "--by", "day", "--by", "model").stdout.splitlines()
    assert table[0].split("  ")[0] == "DAY"
    assert table[1].split() == ["1970-01-01", "x", "2", "30", "4", "5"]
    lines = run(program, "--by", "model", "--csv").stdout.splitlines()
    assert lines == ["model,requests,prompt_tokens,completion_tokens,cached_tokens", "x,2,30,4,5", "x,2,30,4,5"]
    rows = json.loads(run(program, "--json").stdout)
    assert rows[0] == {"requests": 2, "prompt_tokens": 30, "completion_tokens": 4, "cached_tokens": 5}


@pytest.mark.parametrize("flags", [("--by", "colour"), ("--since", "yesterday")])
def test_usage_refuses_invalid_values(program: FakeApplication, flags: tuple[str, ...]) -> None:
    """Unknown groups and invalid dates are usage errors."""
    assert run(program, *flags).exit_code == 2


def test_storage_prints_the_bytes_of_projects(program: FakeApplication) -> None:
    """Bytes by kind, the total and the limit are printed as a table, CSV or JSON."""
    table = run(program, "--storage").stdout.splitlines()
    assert table[0].split() == [
        *("PROJECT", "FILES", "PARTS", "PICTURES", "MODELS", "RESPONSES", "VECTOR", "STORES", "TOTAL", "LIMIT")
    ]
    assert table[1].split() == ["team", "7", "0", "2", "0", "0", "0", "9", "1000"]
    assert run(program, "--storage", "--csv").stdout.splitlines()[1] == "team,7,0,2,0,0,0,9,1000"
    assert json.loads(run(program, "--storage", "--json").stdout)[0]["total"] == 9
    assert program.calls == [("list_project_storage", None)] * 3
