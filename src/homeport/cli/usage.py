"""`usage`: sums of requests and tokens from the database."""

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
_STORAGE_COLUMNS = ("project", "files", "parts", "pictures", "models", "responses", "vector_stores", "total", "limit")
_USAGE_COLUMNS = ("requests", "prompt_tokens", "completion_tokens", "cached_tokens")


def _parse_day(_: click.Context, __: click.Parameter, value: datetime | None) -> int | None:
    return None if value is None else int(value.replace(tzinfo=UTC).timestamp())


@click.command(cls=SettingsCommand)
@click.option("--by", multiple=True, type=click.Choice(GROUPS), help="What to group by; may be repeated.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), callback=_parse_day, help="First day (UTC).")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), callback=_parse_day, help="Day after the last one (UTC).")
@click.option("--project", "projects", multiple=True, help="Only this project; may be repeated.")
@click.option("--storage", "is_storage", is_flag=True, help="Show how many bytes each project stores instead.")
@click.option("--csv", "is_csv", is_flag=True, help="Print CSV.")
@json_flag
@click.pass_context
def usage(
    context: click.Context, /, settings: Settings, by: tuple[str, ...], is_csv: bool, is_json: bool, **options: object
) -> None:
    """Sum up requests and tokens up to now, whether a server runs or not."""
    admin = application(context).admin
    if options["is_storage"]:
        storage = [
            {**msgspec.structs.asdict(each), "total": each.total} for each in admin.list_project_storage(settings)
        ]
        _print(storage, _STORAGE_COLUMNS, is_csv=is_csv, is_json=is_json)
        return
    since, until, projects = options["since"], options["until"], options["projects"]
    is_daily = "day" in by
    query = UsageQuery(
        since=since if isinstance(since, int) else 0,
        until=until if isinstance(until, int) else None,
        width_s=_DAY_S if is_daily else None,
        by=tuple(name for name in dict.fromkeys(by) if name != "day"),
        projects=projects if isinstance(projects, tuple) else (),
    )
    rows = [_row(each, is_daily=is_daily) for each in admin.sum_usage(settings, query)]
    head = (*(["day"] if is_daily else []), *query.by, *_USAGE_COLUMNS)
    _print(rows, head, is_csv=is_csv, is_json=is_json)


def _print(rows: Sequence[Mapping[str, object]], head: Sequence[str], *, is_csv: bool, is_json: bool) -> None:
    if is_json:
        print_json(rows)
    elif is_csv:
        writer = csv.DictWriter(sys.stdout, head, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: printable.cell(str(value)) for name, value in row.items()} for row in rows)
    else:
        cells = [[str(row[name]) or "-" for name in head] for row in rows]
        print_table([name.replace("_", " ").upper() for name in head], cells)


def _row(total: UsageTotal, *, is_daily: bool) -> dict[str, object]:
    day = {"day": datetime.fromtimestamp(total.begins, UTC).strftime("%Y-%m-%d")} if is_daily else {}
    return {**day, **total.group, **{name: getattr(total, name) for name in _USAGE_COLUMNS}}
