"""From the query parameters of usage to the sums to compute, checks included. Knows nothing of how usage is stored."""

import msgspec

from homeport.api.admin.schema import AdminUsageQuery, OrganizationUsageQuery
from homeport.domain import validation
from homeport.domain.errors import InvalidRequest
from homeport.domain.kinds import KINDS
from homeport.domain.usage import GROUPS, UsageQuery

DAY_S = 86_400
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


def to_usage_query(query: AdminUsageQuery) -> UsageQuery:
    """Return the sums to compute. Raises InvalidRequest naming the parameter."""
    for name in query.by:
        validation.check_choice("by", name, GROUPS)
    validation.check_integer("since", query.since, *validation.INT64)
    validation.check_integer("until", query.until, *validation.INT64)
    groups = tuple(dict.fromkeys(name for name in query.by if name != "day"))
    width_s = DAY_S if "day" in query.by else None
    return UsageQuery(since=query.since, until=query.until, width_s=width_s, by=groups)


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
        raise InvalidRequest("Invalid 'page': use `next_page` of the previous page.", param="page")
    return int(number)
