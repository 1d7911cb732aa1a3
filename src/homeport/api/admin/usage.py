"""`/admin/v1/usage` and `/v1/organization/usage/…`: what was used, summed up. For holders of an admin's key alone.

Knows nothing of how it is written down or kept. Asked here, the sums hold everything answered until now.
"""

import asyncio
import time
from collections.abc import Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from homeport.api import validation
from homeport.api.json_response import JsonResponse
from homeport.api.paging import render_list
from homeport.api.query_params import read_query
from homeport.api.services import services
from homeport.domain.errors import InvalidRequest, NotFound, Unavailable
from homeport.domain.kinds import KINDS
from homeport.domain.ports.store import UsageRepository
from homeport.domain.usage import GROUPS, UsageQuery, UsageTotal

DAY_S = 86_400
_WIDTHS = {"1m": (60, 60, 1440), "1h": (3600, 24, 168), "1d": (DAY_S, 7, 31)}
"""By `bucket_width`: its seconds, how many buckets a page has, and how many it may have."""

_ENDPOINTS = {kind.usage_endpoint: kind.endpoints for kind in KINDS.values() if kind.usage_endpoint}
_GROUPS = {"project_id": "project", "user_id": "user", "api_key_id": "key", "model": "model"}
_TIER = "default"
_PAGE = "page_"


class AdminUsageQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The query of `/admin/v1/usage`. Times are seconds since 1970."""

    by: tuple[str, ...] = ()
    since: int = 0
    until: int | None = None


class OrganizationUsageQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The query of an organization's usage, as today's API has it."""

    start_time: int
    end_time: int | None = None
    bucket_width: str = "1d"
    project_ids: tuple[str, ...] = ()
    user_ids: tuple[str, ...] = ()
    api_key_ids: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    batch: bool | None = None
    group_by: tuple[str, ...] = ()
    limit: int | None = None
    page: str | None = None


async def get_usage(request: Request) -> Response:
    """Sum usage up by any of day, project, key, user, model and endpoint."""
    query = read_query(request, AdminUsageQuery)
    for name in query.by:
        validation.check_choice("by", name, GROUPS)
    validation.check_integer("since", query.since, *validation.INT64)
    validation.check_integer("until", query.until, *validation.INT64)
    by = tuple(dict.fromkeys(name for name in query.by if name != "day"))
    width_s = DAY_S if "day" in query.by else None
    question = UsageQuery(since=query.since, until=query.until, width_s=width_s, by=by)
    found = await _query_usage(request, question)
    return render_list(_row(each, is_daily=width_s is not None) for each in found)


async def storage(request: Request) -> Response:
    """Tell what every project keeps, and the most it may keep."""
    held = services(request).storage
    if held is None:
        raise Unavailable("This server keeps no files.")
    found = await asyncio.to_thread(held.every)
    return render_list({**msgspec.structs.asdict(each), "total": each.total} for each in found)


async def get_organization_usage(request: Request) -> Response:
    """Sum usage up as an organization's usage endpoints do. Raises NotFound for a kind that there is none of."""
    kind = request.path_params["kind"]
    if kind not in _ENDPOINTS:
        raise NotFound(f"Invalid URL ({request.method} {request.url.path[:200]})", code="unknown_url")
    query = read_query(request, OrganizationUsageQuery)
    _check(query, kind)
    width_s, usual, _ = _WIDTHS[query.bucket_width]
    end = query.end_time if query.end_time is not None else int(time.time()) + 1
    first = _first(query, width_s)
    stop = min(end, first + (query.limit or usual) * width_s)
    groups = {**_GROUPS, "batch": "batch"}
    question = UsageQuery(
        since=max(first, query.start_time),
        until=stop,
        width_s=width_s,
        by=tuple(groups[name] for name in dict.fromkeys(query.group_by) if name in groups),
        projects=query.project_ids,
        keys=query.api_key_ids,
        users=query.user_ids,
        models=query.models,
        endpoints=_ENDPOINTS[kind],
        is_batch=query.batch,
    )
    found = await _query_usage(request, question)
    return JsonResponse(
        {
            "object": "page",
            "data": _buckets(found, range(first, max(stop, first), width_s), kind, query.group_by),
            "has_more": stop < end,
            "next_page": f"{_PAGE}{stop}" if stop < end else None,
        }
    )


def _check(query: OrganizationUsageQuery, kind: str) -> None:
    validation.check_integer("start_time", query.start_time, 0, validation.TOKEN_ID_MAX * 100)
    validation.check_integer("end_time", query.end_time, query.start_time + 1, validation.TOKEN_ID_MAX * 100)
    validation.check_choice("bucket_width", query.bucket_width, tuple(_WIDTHS))
    validation.check_integer("limit", query.limit, 1, _WIDTHS[query.bucket_width][2])
    known = (*_GROUPS, "batch", "service_tier") if kind == "completions" else tuple(_GROUPS)
    for name in query.group_by:
        validation.check_choice("group_by", name, known)
    if query.batch is not None and kind != "completions":
        raise validation.unsupported_field("batch", "Only usage of completions tells batches apart.")


def _first(query: OrganizationUsageQuery, width_s: int) -> int:
    """Where the page's first bucket begins; buckets begin at multiples of their width."""
    if query.page is None:
        return query.start_time // width_s * width_s
    number = query.page.removeprefix(_PAGE)
    if not number.isdecimal() or len(number) > 12 or int(number) % width_s:
        raise InvalidRequest("Invalid 'page': give the `next_page` of the answer before.", param="page")
    return int(number)


def _buckets(found: Sequence[UsageTotal], starts: range, kind: str, groups: Sequence[str]) -> list[dict[str, object]]:
    results: dict[int, list[dict[str, object]]] = {start: [] for start in starts}
    for each in found:
        results[each.begins].append(_result(each, kind, groups))
    return [
        {"object": "bucket", "start_time": start, "end_time": start + starts.step, "results": inside}
        for start, inside in results.items()
    ]


def _result(each: UsageTotal, kind: str, groups: Sequence[str]) -> dict[str, object]:
    told: dict[str, object] = {"object": f"organization.usage.{kind}.result"}
    if kind == "audio_speeches":
        told["characters"] = int(each.amount)
    elif kind == "audio_transcriptions":
        told["seconds"] = round(each.amount)
    else:
        told["input_tokens"] = each.prompt_tokens
    if kind == "completions":
        told["output_tokens"] = each.completion_tokens
        told["input_cached_tokens"] = each.cached_tokens
        told["input_uncached_tokens"] = each.prompt_tokens - each.cached_tokens
    told["num_model_requests"] = each.requests
    for name, group in _GROUPS.items():
        told[name] = each.group.get(group) or None
    if kind == "completions":
        told["batch"] = each.group["batch"] == "yes" if "batch" in groups else None
        told["service_tier"] = _TIER if "service_tier" in groups else None
    return told


def _row(each: UsageTotal, *, is_daily: bool) -> dict[str, object]:
    day = {"day": time.strftime("%Y-%m-%d", time.gmtime(each.begins))} if is_daily else {}
    numbers = msgspec.structs.asdict(each)
    for name in ("begins", "group"):
        del numbers[name]
    return {"object": "usage", **day, **each.group, **numbers}


async def _query_usage(request: Request, question: UsageQuery) -> Sequence[UsageTotal]:
    book = services(request).usage
    if book is None:
        raise Unavailable("This server keeps no usage.")
    return await asyncio.to_thread(_import_and_sum, book, question)


def _import_and_sum(book: UsageRepository, question: UsageQuery) -> Sequence[UsageTotal]:
    book.import_ledgers()
    return book.sum_usage(question)
