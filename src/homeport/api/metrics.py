"""`/metrics`: the meters in Prometheus' text format. Who may read them is `access`'s affair."""

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

from homeport.api.services import services


async def scrape(request: Request) -> Response:
    """Give everything counted so far."""
    return Response(services(request).meters.render(), media_type=CONTENT_TYPE_LATEST)
