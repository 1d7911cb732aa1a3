"""The headers that Anthropic's clients read: the id of the request, and what remains of the key's limits."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from homeport.api.request_context import RequestContext


def message_headers(context: RequestContext) -> Mapping[str, str]:
    """Return the headers of a response. Times are in RFC 3339, rounded up to seconds."""
    headers = {"request-id": context.id}
    for name, rate in context.rate_ticket.limit_status().items():
        reset = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=int(rate.reset_s) + 1)
        headers |= {
            f"anthropic-ratelimit-{name}-limit": str(rate.limit),
            f"anthropic-ratelimit-{name}-remaining": str(rate.remaining),
            f"anthropic-ratelimit-{name}-reset": reset.isoformat().replace("+00:00", "Z"),
        }
    return headers
