"""The bytes that a project stores on this server, and its limit. Knows nothing of where they are stored."""

import msgspec

from homeport.domain.errors import InvalidRequest


class ProjectUsage(msgspec.Struct, frozen=True, kw_only=True):
    """The bytes that a project stores, and its limit.

    `parts`: of uploads that are not completed; `pictures`: images with URLs; `models`: fine-tuned models, checkpoints
    included; `responses`: responses, conversations and stored chat completions; `vector_stores`: chunks and vectors.
    """

    project: str
    files: int = 0
    parts: int = 0
    pictures: int = 0
    models: int = 0
    responses: int = 0
    vector_stores: int = 0
    limit: int

    @property
    def total(self) -> int:
        """The sum of all."""
        return self.files + self.parts + self.pictures + self.models + self.responses + self.vector_stores

    def check(self, n_bytes: int, param: str | None = "file") -> None:
        """Raise InvalidRequest if `n_bytes` more exceed the limit."""
        if self.total + n_bytes > self.limit:
            raise InvalidRequest(
                f"Storage limit exceeded: the project {self.project} may store {self.limit} bytes and stores "
                f"{self.total}. Delete files, vector stores, stored responses, fine-tuned models or uploads that are "
                "not completed to make room.",
                param=param,
                code="storage_limit_exceeded",
            )
