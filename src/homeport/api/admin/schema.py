"""The query parameters of usage."""

import msgspec


class AdminUsageQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The query parameters of `/admin/v1/usage`. Times are seconds since 1970."""

    by: tuple[str, ...] = ()
    since: int = 0
    until: int | None = None


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
