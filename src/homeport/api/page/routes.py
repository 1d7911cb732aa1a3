"""`/` and `/page`: the page's files and its sessions.

The page's files need no key and hold no secret. What the page then asks of the API needs one like any other request.
"""

import asyncio
import re

from starlette.requests import Request
from starlette.responses import Response

from homeport.api import monitoring
from homeport.api.access_policy import bearer
from homeport.api.json_response import JsonResponse
from homeport.api.page.page_files import PageFile, PageFiles
from homeport.api.page.render import render_token
from homeport.api.page.schema import SessionBody
from homeport.api.page.security_headers import SECURITY_HEADERS
from homeport.api.request_body import read_json
from homeport.api.services import services
from homeport.api.unknown_paths import unknown_url
from homeport.domain.errors import Forbidden

_HTML = "text/html"
_FOREVER = "public, max-age=31536000, immutable"
_REVALIDATE = "no-cache"
_PRIVATE = {"cache-control": "no-store"}
_MAX_BODY_BYTES = 4096
"""Of a body that anybody may send, without a key."""
_REFUSED = re.compile(r"q=0(\.0*)?")


async def root(request: Request) -> Response:
    """Answer a browser with the page, and API clients with a description of the server."""
    page = services(request).page
    if page is None:
        return await monitoring.describe_server(request)
    if not _accepts(request.headers.get("accept", ""), _HTML):
        response = await monitoring.describe_server(request)
        response.headers["vary"] = "accept"
        return response
    await _read(page)
    return _file_response(request, page.index, _REVALIDATE, vary="accept, accept-encoding")


async def file(request: Request) -> Response:
    """Return one of the page's files. Raises NotFound, also for the files of another version."""
    page = _page(request)
    version, name = request.path_params["version"], request.path_params["name"]
    await _read(page)
    found = page.find(version, name)
    if found is None:
        raise unknown_url(request.method, request.url.path)
    return _file_response(request, found, _FOREVER, vary="accept-encoding")


async def begin_session(request: Request) -> Response:
    """Exchange the token of a one-time link for that of a session.

    Raises Unauthenticated, InvalidRequest, PayloadTooLarge.
    """
    _page(request)
    body = await read_json(request, SessionBody, _MAX_BODY_BYTES)
    return JsonResponse(render_token("session", services(request).page_sessions.begin(body.link)), headers=_PRIVATE)


async def end_session(request: Request) -> Response:
    """End the session whose token the request carries."""
    _page(request)
    services(request).page_sessions.end(bearer(request.headers))
    return Response(status_code=204)


async def create_link(request: Request) -> Response:
    """Create a one-time link for `homeport open`. Raises Forbidden for a session, which would never end that way."""
    _page(request)
    sessions = services(request).page_sessions
    if sessions.is_valid(bearer(request.headers)):
        raise Forbidden(
            "A session of the page makes no links, because it would outlast itself by them: run `homeport open`.",
            code="session_makes_no_links",
        )
    return JsonResponse(render_token("link", sessions.create_link()), headers=_PRIVATE)


async def _read(page: PageFiles) -> None:
    """Have the files read, in a thread if they are not yet."""
    if not page.is_read:
        await asyncio.to_thread(lambda: page.index)


def _page(request: Request) -> PageFiles:
    """Return the page's files. Raises NotFound if the page is turned off."""
    page = services(request).page
    if page is None:
        raise unknown_url(request.method, request.url.path)
    return page


def _accepts(header: str, name: str) -> bool:
    """Return whether an `Accept` header names this type or encoding, and not only to refuse it; `*/*` names none."""
    for item in header.lower().split(","):
        kind, *parameters = ("".join(part.split()) for part in item.split(";"))
        if kind == name:
            return not any(_REFUSED.fullmatch(parameter) for parameter in parameters)
    return False


def _file_response(request: Request, file: PageFile, cache_control: str, vary: str) -> Response:
    headers = {**SECURITY_HEADERS, "etag": file.etag, "cache-control": cache_control, "vary": vary}
    if file.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if _accepts(request.headers.get("accept-encoding", ""), "gzip"):
        return Response(file.packed, media_type=file.media_type, headers={**headers, "content-encoding": "gzip"})
    return Response(file.content, media_type=file.media_type, headers=headers)
