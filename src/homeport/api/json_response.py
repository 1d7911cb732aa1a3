"""A JSON answer, written by `wire`."""

from starlette.responses import JSONResponse

from homeport.api import json_codec


class JsonResponse(JSONResponse):
    """Any value that `wire.encode` takes, as a response."""

    def render(self, content: object) -> bytes:
        """Write the value as strict JSON."""
        return json_codec.encode(content)
