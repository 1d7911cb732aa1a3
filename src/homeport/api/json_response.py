"""A JSON response, encoded by `json_codec`."""

from starlette.responses import JSONResponse

from homeport.api import json_codec


class JsonResponse(JSONResponse):
    """A response of any value that `json_codec.encode` supports."""

    def render(self, content: object) -> bytes:
        """Encode the value as strict JSON."""
        return json_codec.encode(content)
