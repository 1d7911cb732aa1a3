"""`/admin/v1/usage`, `/admin/v1/storage` and `/v1/organization/usage/…`, for holders of an admin key only.

The sums include every request answered so far. Knows nothing of how usage is recorded or stored.
"""

import asyncio
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from homeport.api.admin.convert import ENDPOINTS, to_bucket_page, to_usage_page
from homeport.api.admin.render import render_storage, render_usage_csv, render_usage_page, render_usage_rows
from homeport.api.admin.schema import AdminUsageQuery, OrganizationUsageQuery
from homeport.api.json_response import JsonResponse
from homeport.api.paging import render_list
from homeport.api.query_params import read_query
from homeport.api.services import services
from homeport.api.unknown_paths import unknown_url
from homeport.domain.errors import Unavailable
from homeport.domain.ports.store import UsageRepository
from homeport.domain.usage import UsageQuery, UsageTotal

NEXT_PAGE_HEADER = "x-homeport-next-page"
"""The header of CSV with the value of `page` that asks for the next page."""


async def get_usage(request: Request) -> Response:
    """Sum usage by any of day, project, key, user, model and endpoint, and by spans of time: as JSON or CSV."""
    query = read_query(request, AdminUsageQuery)
    page = to_usage_page(query, services(request).now())
    totals = await sum_usage(request, page.query)
    rows = render_usage_rows(page, totals)
    if query.format == "json":
        return JsonResponse(rows)
    headers = {"content-disposition": 'attachment; filename="usage.csv"'}
    if rows.next_page is not None:
        headers[NEXT_PAGE_HEADER] = rows.next_page
    return Response(render_usage_csv(page, totals), headers=headers, media_type="text/csv")


async def storage(request: Request) -> Response:
    """List what each project stores, and its limit."""
    project_storage = services(request).storage
    if project_storage is None:
        raise Unavailable("This server does not store files.")
    return render_list(map(render_storage, await asyncio.to_thread(project_storage.list_all)))


async def get_organization_usage(request: Request) -> Response:
    """Sum usage by buckets of time, as OpenAI's endpoints do. Raises NotFound for an unknown kind of usage."""
    kind = request.path_params["kind"]
    if kind not in ENDPOINTS:
        raise unknown_url(request.method, request.scope["path"])
    query = read_query(request, OrganizationUsageQuery)
    page = to_bucket_page(query, kind, services(request).now())
    totals = await sum_usage(request, page.query)
    return JsonResponse(render_usage_page(page, totals, kind, query.group_by))


async def sum_usage(request: Request, query: UsageQuery) -> Sequence[UsageTotal]:
    """Sum the usage of all requests answered so far. Raises Unavailable if the server does not store usage."""
    usage = services(request).usage
    if usage is None:
        raise Unavailable("This server does not store usage.")
    return await asyncio.to_thread(_import_and_sum, usage, query)


def _import_and_sum(usage: UsageRepository, query: UsageQuery) -> Sequence[UsageTotal]:
    usage.import_ledgers()
    return usage.sum_usage(query)
