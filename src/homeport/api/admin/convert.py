"""From the query parameters of usage to the sums to compute, checks included. Knows nothing of how usage is stored."""

import re

import msgspec

from homeport.api.admin.schema import AdminUsageQuery, OrganizationUsageQuery
from homeport.domain import validation
from homeport.domain.errors import InvalidRequest
from homeport.domain.kinds import KINDS
from homeport.domain.usage import GROUPS, UsageQuery

DAY_S = 86_400
MAX_ROWS = 10_000
"""The largest page of `/admin/v1/usage`."""
FORMATS = ("json", "csv")
_BUCKETS = {"1m": 60, "1h": 3600, "1d": DAY_S}
_MAX_FILTER_VALUES = 100
_PAGE = re.compile(r"page_(\d{1,15})_(\d{1,15})")
_WIDTHS = {"1m": (60, 60, 1440), "1h": (3600, 24, 168), "1d": (DAY_S, 7, 31)}
"""By `bucket_width`: its seconds, and the usual and the largest number of buckets of a page."""

ENDPOINTS = {kind.usage_endpoint: kind.endpoints for kind in KINDS.values() if kind.usage_endpoint}
"""The endpoints of each kind of an organization's usage."""
GROUP_FIELDS = {"project_id": "project", "user_id": "user", "api_key_id": "key", "model": "model"}
"""The groups of `group_by`, and their names in the usage ledger."""
PAGE_PREFIX = "page_"
_MAX_TIME = validation.TOKEN_ID_MAX * 100


class BucketPage(msgspec.Struct, frozen=True):
    """A page of time buckets. `starts`: where each begins; `end`: where the last page ends. Seconds since 1970."""

    query: UsageQuery
    starts: range
    end: int

    @property
    def stop(self) -> int:
        """The time at which the page ends."""
        return self.query.until or 0


class UsagePage(msgspec.Struct, frozen=True):
    """A page of sums. `query` asks for one more row than `limit`, which shows whether more follow.

    `is_daily`: rows have a `day`; `has_times`: rows have `start_time` and `end_time`; `until`: where usage ends on all
    pages, so that later requests change none of them.
    """

    query: UsageQuery
    limit: int
    is_daily: bool
    has_times: bool
    until: int

    @property
    def next_page(self) -> str:
        """The value of `page` that asks for the next one."""
        return f"{PAGE_PREFIX}{self.query.offset + self.limit}_{self.until}"


def to_usage_page(query: AdminUsageQuery, now: float) -> UsagePage:
    """Return the page of sums to compute. Raises InvalidRequest naming the parameter."""
    _check_admin_query(query)
    names = dict.fromkeys((*query.group_by, *query.by))
    since = query.since if query.start is None else query.start
    until = query.until if query.end is None else query.end
    offset, page_until = _page_start(query.page)
    if page_until is not None:
        until = page_until if until is None else min(until, page_until)
    shared_until = int(now) + 1 if page_until is None else page_until
    width_s = _BUCKETS[query.bucket] if query.bucket is not None else DAY_S if "day" in names else None
    usage_query = UsageQuery(
        since=since or 0,
        until=until,
        width_s=width_s,
        by=tuple(name for name in names if name != "day"),
        projects=query.projects,
        keys=query.keys,
        users=query.users,
        models=query.models,
        endpoints=query.endpoints,
        limit=query.limit + 1,
        offset=offset,
    )
    return UsagePage(usage_query, query.limit, "day" in names, query.bucket is not None, shared_until)


def _check_admin_query(query: AdminUsageQuery) -> None:
    for other, name in (("by", "group_by"), ("since", "start"), ("until", "end")):
        if getattr(query, other) not in (None, ()) and getattr(query, name) not in (None, ()):
            raise InvalidRequest(f"'{other}' is another name of '{name}': use one of them.", param=other)
    for field in ("group_by", "by"):
        for name in getattr(query, field):
            validation.check_choice(field, name, GROUPS)
    for field in ("start", "end", "since", "until"):
        validation.check_integer(field, getattr(query, field), *validation.INT64)
    for field in ("projects", "keys", "users", "models", "endpoints"):
        validation.check_items(field, getattr(query, field), _MAX_FILTER_VALUES)
    validation.check_choice("bucket", query.bucket, tuple(_BUCKETS))
    validation.check_choice("format", query.format, FORMATS)
    validation.check_integer("limit", query.limit, 1, MAX_ROWS)
    if query.bucket not in (None, "1d") and "day" in (*query.group_by, *query.by):
        raise InvalidRequest("Rows by day have the bucket '1d': leave 'day' or this bucket out.", param="bucket")


def _page_start(page: str | None) -> tuple[int, int | None]:
    """Return how many rows are before a page, and where usage ends on it (None: on the first page, without an end)."""
    if page is None:
        return 0, None
    found = _PAGE.fullmatch(page)
    if found is None:
        raise _invalid_page()
    return int(found[1]), int(found[2])


def to_bucket_page(query: OrganizationUsageQuery, kind: str, now: float) -> BucketPage:
    """Return the page of buckets of a kind of usage. Raises InvalidRequest naming the parameter."""
    _check(query, kind)
    width_s, usual_limit, _ = _WIDTHS[query.bucket_width]
    end = query.end_time if query.end_time is not None else int(now) + 1
    first = _first_bucket(query, width_s)
    stop = min(end, first + (query.limit or usual_limit) * width_s)
    groups = {**GROUP_FIELDS, "batch": "batch"}
    usage_query = UsageQuery(
        since=max(first, query.start_time),
        until=stop,
        width_s=width_s,
        by=tuple(groups[name] for name in dict.fromkeys(query.group_by) if name in groups),
        projects=query.project_ids,
        keys=query.api_key_ids,
        users=query.user_ids,
        models=query.models,
        endpoints=ENDPOINTS[kind],
        is_batch=query.batch,
    )
    return BucketPage(usage_query, range(first, max(stop, first), width_s), end)


def _check(query: OrganizationUsageQuery, kind: str) -> None:
    validation.check_integer("start_time", query.start_time, 0, _MAX_TIME)
    validation.check_integer("end_time", query.end_time, query.start_time + 1, _MAX_TIME)
    validation.check_choice("bucket_width", query.bucket_width, tuple(_WIDTHS))
    validation.check_integer("limit", query.limit, 1, _WIDTHS[query.bucket_width][2])
    known = (*GROUP_FIELDS, "batch", "service_tier") if kind == "completions" else tuple(GROUP_FIELDS)
    for name in query.group_by:
        validation.check_choice("group_by", name, known)
    if query.batch is not None and kind != "completions":
        raise validation.unsupported_field("batch", "Only the usage of completions distinguishes batches.")


def _first_bucket(query: OrganizationUsageQuery, width_s: int) -> int:
    """Return when the page's first bucket begins. Buckets begin at multiples of their width."""
    if query.page is None:
        return query.start_time // width_s * width_s
    number = query.page.removeprefix(PAGE_PREFIX)
    if not number.isdecimal() or len(number) > 12 or int(number) % width_s:
        raise _invalid_page()
    return int(number)


def _invalid_page() -> InvalidRequest:
    return InvalidRequest("Invalid 'page': use `next_page` of the previous page.", param="page")
