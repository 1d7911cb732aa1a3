"""The JSON of keys, usage and storage, and usage as CSV. Knows nothing of requests."""

import csv
import io
import time
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from homeport.api.admin.convert import GROUP_FIELDS, PAGE_PREFIX, BucketPage, UsagePage
from homeport.domain import printable
from homeport.domain.keys import Key, KeyLimits
from homeport.domain.storage import ProjectUsage
from homeport.domain.usage import UsageTotal

_TIER = "default"


class KeyUsage(msgspec.Struct, kw_only=True):
    """What a key has used on this day, in UTC."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0


class KeyObject(msgspec.Struct, kw_only=True):
    """A key. `status`: `active`, `expired` or `revoked`; `models`: empty for all.

    `usage_today`: null on a server that does not store usage. `secret`: only in the answer that creates or rotates it.
    """

    object: str = "key"
    id: str
    project: str
    name: str
    hint: str
    created_at: int
    models: tuple[str, ...]
    limits: KeyLimits
    rotated_at: int | None
    expires_at: int | None
    revoked_at: int | None
    status: str
    usage_today: KeyUsage | None
    secret: str | UnsetType = UNSET


class StorageObject(msgspec.Struct, kw_only=True):
    """The bytes that a project stores, by kind and in total, and its limit."""

    project: str
    files: int
    parts: int
    pictures: int
    models: int
    responses: int
    vector_stores: int
    limit: int
    total: int


class UsageResult(msgspec.Struct, kw_only=True):
    """The usage of one group in one bucket. The kind of usage decides which fields there are."""

    object: str
    characters: int | UnsetType = UNSET
    seconds: int | UnsetType = UNSET
    input_tokens: int | UnsetType = UNSET
    output_tokens: int | UnsetType = UNSET
    input_cached_tokens: int | UnsetType = UNSET
    input_uncached_tokens: int | UnsetType = UNSET
    num_model_requests: int
    project_id: str | None
    user_id: str | None
    api_key_id: str | None
    model: str | None
    batch: bool | UnsetType | None = UNSET
    service_tier: str | UnsetType | None = UNSET


class UsageRowsBody(msgspec.Struct, kw_only=True):
    """A page of `/admin/v1/usage`. `next_page`: the value of `page` that asks for the next one."""

    object: str = "list"
    data: list[dict[str, Any]]
    has_more: bool
    next_page: str | None


class UsageBucket(msgspec.Struct, kw_only=True):
    """The usage of a span of time, by group."""

    object: str = "bucket"
    start_time: int
    end_time: int
    results: list[UsageResult]


class UsagePageBody(msgspec.Struct, kw_only=True):
    """A page of buckets."""

    object: str = "page"
    data: list[UsageBucket]
    has_more: bool
    next_page: str | None


def render_key(key: Key, now: float, usage_today: KeyUsage | None) -> KeyObject:
    """Render a key, without its secret. `now`: seconds since 1970."""
    status = "revoked" if key.revoked_at is not None else "active" if key.is_valid(now) else "expired"
    fields = msgspec.structs.asdict(key)
    return KeyObject(**fields, status=status, usage_today=usage_today)


def render_key_usage(total: UsageTotal) -> KeyUsage:
    """Render the usage of one key on one day."""
    return KeyUsage(**{name: getattr(total, name) for name in KeyUsage.__struct_fields__})


def render_storage(usage: ProjectUsage) -> StorageObject:
    """Render what a project stores."""
    return StorageObject(**msgspec.structs.asdict(usage), total=usage.total)


def render_usage_rows(page: UsagePage, totals: Sequence[UsageTotal]) -> UsageRowsBody:
    """Render a page of sums."""
    has_more = len(totals) > page.limit
    return UsageRowsBody(
        data=[{"object": "usage", **_usage_row(page, total)} for total in totals[: page.limit]],
        has_more=has_more,
        next_page=page.next_page if has_more else None,
    )


def render_usage_csv(page: UsagePage, totals: Sequence[UsageTotal]) -> str:
    """Render a page of sums as CSV, with a line of names first. No text of a cell is a formula of a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text)
    names = list(_usage_row(page, UsageTotal(group=dict.fromkeys(page.query.by, ""))))
    writer.writerow(names)
    for total in totals[: page.limit]:
        values = _usage_row(page, total).values()
        writer.writerow(printable.cell(value) if isinstance(value, str) else value for value in values)
    return text.getvalue()


def _usage_row(page: UsagePage, total: UsageTotal) -> dict[str, object]:
    """Return a sum as a mapping, because its groups have the order of the request."""
    times: dict[str, object] = {}
    if page.is_daily:
        times["day"] = time.strftime("%Y-%m-%d", time.gmtime(total.begins))
    if page.has_times:
        times |= {"start_time": total.begins, "end_time": total.begins + (page.query.width_s or 0)}
    numbers = msgspec.structs.asdict(total)
    for name in ("begins", "group"):
        del numbers[name]
    return {**times, **total.group, **numbers}


def render_usage_page(
    page: BucketPage, totals: Sequence[UsageTotal], kind: str, groups: Sequence[str]
) -> UsagePageBody:
    """Render a page of buckets; those without usage are empty."""
    results: dict[int, list[UsageResult]] = {start: [] for start in page.starts}
    for total in totals:
        results[total.begins].append(_render_result(total, kind, groups))
    has_more = page.stop < page.end
    return UsagePageBody(
        data=[
            UsageBucket(start_time=start, end_time=start + page.starts.step, results=found)
            for start, found in results.items()
        ],
        has_more=has_more,
        next_page=f"{PAGE_PREFIX}{page.stop}" if has_more else None,
    )


def _render_result(total: UsageTotal, kind: str, groups: Sequence[str]) -> UsageResult:
    result = UsageResult(
        object=f"organization.usage.{kind}.result",
        num_model_requests=total.requests,
        project_id=total.group.get(GROUP_FIELDS["project_id"]) or None,
        user_id=total.group.get(GROUP_FIELDS["user_id"]) or None,
        api_key_id=total.group.get(GROUP_FIELDS["api_key_id"]) or None,
        model=total.group.get(GROUP_FIELDS["model"]) or None,
    )
    if kind == "audio_speeches":
        result.characters = int(total.amount)
    elif kind == "audio_transcriptions":
        result.seconds = round(total.amount)
    else:
        result.input_tokens = total.prompt_tokens
    if kind == "completions":
        result.output_tokens = total.completion_tokens
        result.input_cached_tokens = total.cached_tokens
        result.input_uncached_tokens = total.prompt_tokens - total.cached_tokens
        result.batch = total.group["batch"] == "yes" if "batch" in groups else None
        result.service_tier = _TIER if "service_tier" in groups else None
    return result
