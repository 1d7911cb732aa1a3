"""The response to an error in the format of its path: OpenAI's, or Anthropic's for `/v1/messages`.

So the clients of both understand the errors of all middleware. Knows nothing of how errors arise.
"""

from collections.abc import Mapping

from starlette.responses import Response
from starlette.types import Scope

from homeport.api.error_responses import error_headers, error_response
from homeport.api.messages.errors import error_body, error_status
from homeport.api.request_context import context_of
from homeport.domain.errors import HomeportError

MESSAGES_PATH = "/v1/messages"


def is_messages_path(path: str) -> bool:
    """Return whether Anthropic's clients send requests to a path."""
    return f"{path}/".startswith(f"{MESSAGES_PATH}/")


def formatted_error(error: HomeportError, scope: Scope, headers: Mapping[str, str] | None = None) -> Response:
    """Return the response to an error of a request, with `headers`."""
    if not is_messages_path(scope["path"]):
        return error_response(error, headers)
    body = error_body(error, context_of(scope).id)
    return Response(body, error_status(error), error_headers(error, headers), media_type="application/json")
