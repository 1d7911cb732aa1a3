"""The JSON of a response as it is stored now: its body with its present status and its output.

Knows nothing of what the fields mean.
"""

from typing import Any

import msgspec

from homeport.api import json_codec
from homeport.domain.responses import StoredResponse


def render_stored(response: StoredResponse) -> bytes:
    """Return the JSON of a stored response, with its status and the items of its output."""
    fields: dict[str, Any] = msgspec.json.decode(response.body, type=dict[str, msgspec.Raw])
    fields["status"] = response.status
    fields["output"] = [msgspec.Raw(item.body.encode()) for item in response.output]
    return json_codec.encode(fields)
