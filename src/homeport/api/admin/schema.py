"""The query parameters of usage."""

import msgspec


class AdminUsageQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The query parameters of `/admin/v1/usage`. Times are seconds since 1970.

    `by`, `since` and `until` are other names of `group_by`, `start` and `end`. The plural ones select; `page` is the
    `next_page` of the page before.
    """

    group_by: tuple[str, ...] = ()
    start: int | None = None
    end: int | None = None
    by: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None
    bucket: str | None = None
    projects: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    limit: int = 1000
    page: str | None = None
    format: str = "json"


class OrganizationUsageQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The query parameters of an organization's usage in today's API."""

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
