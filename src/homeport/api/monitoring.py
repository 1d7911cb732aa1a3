"""Is this process up, and would it serve? Open to all; says nothing about models or callers."""

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

from homeport.api.json_response import JsonResponse
from homeport.api.services import services
from homeport.domain.errors import Unavailable
from homeport.serving.background_loops import PATIENCE_S


async def greet(request: Request) -> Response:
    """Say what answers here, to whoever opens the bare address."""
    house = services(request)
    return JsonResponse({"name": "homeport", "version": house.version, "api": "/v1", "models": "/v1/models"})


async def live(_: Request) -> Response:
    """Say that the process is up."""
    return JsonResponse({"status": "ok"})


async def ready(request: Request) -> Response:
    """Say that requests would be served, and which background loops fail. Raises Unavailable while they would not.

    A loop that fails for long is also a reason to say so: keys revoked elsewhere may not be heard of, for one.
    """
    house = services(request)
    if not house.serving.is_ready:
        raise Unavailable("Not ready: the server is draining, or a worker is dead or stuck.", code="not_ready")
    if stuck := house.loops.failing(PATIENCE_S):
        raise Unavailable(
            f"Not ready: these background loops have failed for more than {PATIENCE_S:g} s: {', '.join(stuck)}.",
            code="not_ready",
        )
    failing = house.loops.failing()
    return JsonResponse({"status": "ready", **({"failing": failing} if failing else {})})


async def scrape(request: Request) -> Response:
    """Give everything counted so far."""
    return Response(services(request).metrics.render(), media_type=CONTENT_TYPE_LATEST)
