"""`usage`: what was used, summed up from the database."""

import csv
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import click
import msgspec

from homeport.cli.options import SettingsCommand, application
from homeport.cli.output import json_flag, print_json, print_table
from homeport.domain import printable
from homeport.domain.usage import GROUPS, UsageQuery, UsageTotal
from homeport.settings import Settings

_DAY_S = 86_400
_STORED = ("project", "files", "parts", "pictures", "models", "total", "limit")
_NUMBERS = ("requests", "prompt_tokens", "completion_tokens", "cached_tokens")


def _day(_: click.Context, __: click.Parameter, value: datetime | None) -> int | None:
    return None if value is None else int(value.replace(tzinfo=UTC).timestamp())


@click.command(cls=SettingsCommand)
@click.option("--by", multiple=True, type=click.Choice(GROUPS), help="What to sum up by; may be repeated.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), callback=_day, help="The first day, by UTC.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), callback=_day, help="The day after the last one, by UTC.")
@click.option("--project", "projects", multiple=True, help="Of this project alone; may be repeated.")
@click.option("--storage", "is_storage", is_flag=True, help="Show what each project stores, in bytes, instead.")
@click.option("--csv", "is_csv", is_flag=True, help="Print CSV.")
@json_flag
@click.pass_context
def usage(
    context: click.Context, /, settings: Settings, by: tuple[str, ...], is_csv: bool, is_json: bool, **asked: object
) -> None:
    """Sum up requests and tokens, until this moment, whether a server runs or not."""
    if asked["is_storage"]:
        stored = application(context).list_project_storage(settings)
        kept = [{**msgspec.structs.asdict(each), "total": each.total} for each in stored]
        _tell(kept, _STORED, is_csv=is_csv, is_json=is_json)
        return
    since, until, projects = asked["since"], asked["until"], asked["projects"]
    is_daily = "day" in by
    question = UsageQuery(
        since=since if isinstance(since, int) else 0,
        until=until if isinstance(until, int) else None,
        width_s=_DAY_S if is_daily else None,
        by=tuple(name for name in dict.fromkeys(by) if name != "day"),
        projects=projects if isinstance(projects, tuple) else (),
    )
    rows = [_row(each, is_daily=is_daily) for each in application(context).admin.sum_usage(settings, question)]
    head = (*(["day"] if is_daily else []), *question.by, *_NUMBERS)
    _tell(rows, head, is_csv=is_csv, is_json=is_json)


def _tell(rows: Sequence[Mapping[str, object]], head: Sequence[str], *, is_csv: bool, is_json: bool) -> None:
    if is_json:
        print_json(rows)
    elif is_csv:
        written = csv.DictWriter(sys.stdout, head, lineterminator="\n")
        written.writeheader()
        written.writerows({name: printable.line(str(value)) for name, value in row.items()} for row in rows)
    else:
        cells = [[str(row[name]) or "-" for name in head] for row in rows]
        print_table([name.replace("_", " ").upper() for name in head], cells)


def _row(each: UsageTotal, *, is_daily: bool) -> dict[str, object]:
    day = {"day": datetime.fromtimestamp(each.begins, UTC).strftime("%Y-%m-%d")} if is_daily else {}
    return {**day, **each.group, **{name: getattr(each, name) for name in _NUMBERS}}
