"""Health checks and metrics. They need no key and reveal nothing about models or callers."""

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

from homeport.api.json_response import JsonResponse
from homeport.api.services import services
from homeport.domain.errors import Unavailable
from homeport.serving.background_loops import PATIENCE_S


async def describe_server(request: Request) -> Response:
    """Describe the server at its root URL."""
    version = services(request).version
    return JsonResponse({"name": "homeport", "version": version, "api": "/v1", "models": "/v1/models"})


async def live(_: Request) -> Response:
    """Report that the process is running."""
    return JsonResponse({"status": "ok"})


async def ready(request: Request) -> Response:
    """Report that the server is ready, and which background loops fail. Raises Unavailable if it is not ready.

    A loop that fails for long is also a reason: for example, the server may not learn of revoked keys.
    """
    loops = services(request).loops
    if not services(request).serving.is_ready:
        raise Unavailable(
            "Not ready: the server is draining, a worker is dead or stuck, or a gateway is cut off from its cluster.",
            code="not_ready",
        )
    if stuck := loops.failing(PATIENCE_S):
        raise Unavailable(
            f"Not ready: these background loops have failed for more than {PATIENCE_S:g} s: {', '.join(stuck)}.",
            code="not_ready",
        )
    failing = loops.failing()
    return JsonResponse({"status": "ready", **({"failing": failing} if failing else {})})


async def scrape(request: Request) -> Response:
    """Return all metrics."""
    return Response(services(request).metrics.render(), media_type=CONTENT_TYPE_LATEST)
