"""Pictures that a JSON body refers to. Knows nothing of what is done with them."""

from pathlib import Path

import msgspec

from homeport.api import data_url, validation
from homeport.domain.errors import InvalidRequest


class ImageReference(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Where a picture is: a data: URL that holds it, or an uploaded file, of which there are none here."""

    image_url: str | None = None
    file_id: str | None = None

    def check(self, param: str) -> None:
        """Raise InvalidRequest, naming `param`, for what is not exactly one of both, and not a URL."""
        if self.file_id is not None:
            raise validation.unsupported_field(f"{param}.file_id", "Uploaded files are not here: send a data: URL.")
        if self.image_url is None:
            raise InvalidRequest(
                f"Missing required parameter: '{param}.image_url'.",
                param=f"{param}.image_url",
                code="missing_required_parameter",
            )

    def write_to(self, path: Path, param: str, max_bytes: int) -> int:
        """Write the picture to `path`; give its size in bytes. Raises InvalidRequest."""
        data = data_url.decode_image_url(self.image_url or "", f"{param}.image_url", max_bytes)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(data)
        return len(data)
