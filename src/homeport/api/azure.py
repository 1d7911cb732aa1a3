"""Rewrites Azure's URLs to OpenAI's before any other code sees the request.

Azure names the model as a deployment in the path (`/openai/deployments/{name}/chat/completions`), requires a version in
the query, which is ignored here, and has all other paths below `/openai` or `/openai/v1`. Its key is in the header
`api-key`, which `access_policy` reads. Knows nothing of endpoints' fields.
"""

import re
from typing import Any, cast

from starlette.types import ASGIApp, Receive, Scope, Send

_SLOT = "homeport.deployment"
_DEPLOYMENT_PATH = re.compile(
    r"/openai/(?:v1/)?deployments/(?P<name>[^/].*?)/(?P<rest>(?:chat/)?completions|edits|embeddings|(?:audio|images)/\w+)",
    re.DOTALL,
)
_OTHER_PATH = re.compile(r"/openai/(?:v1/)?(?P<rest>(?!v1/|deployments/).+)", re.DOTALL)
_VERSION = re.compile(rb"(?:^|&)api-version=[^&]*")


def deployment_of(scope: Scope) -> str | None:
    """Return the model that the path names as a deployment. As at Azure, it overrides a model in the body."""
    return cast("str | None", scope.get(_SLOT))


class AzureMiddleware:
    """Middleware: rewrites Azure's requests to OpenAI's, and forwards all others unchanged."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self._app(_rewrite(scope) if scope["type"] == "http" else scope, receive, send)


def _rewrite(scope: Scope) -> Scope:
    path, query = scope["path"], scope["query_string"]
    changes: dict[str, Any] = {}
    if b"api-version=" in query:
        changes["query_string"] = _VERSION.sub(b"", query).removeprefix(b"&")
    if path.startswith("/openai/"):
        if deployed := _DEPLOYMENT_PATH.fullmatch(path):
            changes["path"], changes[_SLOT] = f"/v1/{deployed['rest']}", deployed["name"]
        elif other := _OTHER_PATH.fullmatch(path):
            changes["path"] = f"/v1/{other['rest']}"
    return {**scope, **changes} if changes else scope
