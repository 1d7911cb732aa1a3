"""Pictures of a prompt, made by the server's own image model as a part of a shape request: Point-E's own recipe.

Knows nothing of shapes.
"""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

from starlette.requests import Request

from homeport.api.images import model_rules
from homeport.api.request_runner import engine_run
from homeport.api.services import registry
from homeport.api.shapes.convert import picture_error
from homeport.domain.content import Attachment
from homeport.domain.errors import Forbidden, InvalidRequest, ModelNotFound
from homeport.domain.events import GeneratedImage, ImageProgress
from homeport.domain.images import ImageRequest
from homeport.domain.models import ResolvedModel

ENDPOINT = "images"
"""The name of these engine requests in metrics and usage."""


def resolve_image_model(request: Request) -> ResolvedModel:
    """Find the image model that OpenAI's name stands for.

    Raises InvalidRequest naming the prompt if it is not installed, with the command that installs it; Forbidden.
    """
    try:
        return registry(request).resolve(model_rules.DEFAULT_CURRENT_MODEL, "images")
    except (ModelNotFound, InvalidRequest) as error:
        raise InvalidRequest(
            f"'prompt' needs an image model, and there is none. {error.message}",
            param="prompt",
            code="unsupported_parameter",
        ) from error
    except Forbidden as error:
        raise Forbidden(error.message, param="prompt", code=error.code) from error


class PromptPictures:
    """The pictures of one prompt as files in `folder`, which is created with the first one.

    `files`: those that are made, in order. `revised_prompts`: what each shows, None if it is the prompt.
    """

    def __init__(
        self, request: Request, resolved: ResolvedModel, image_request: ImageRequest, folder: Path, user: str | None
    ) -> None:
        self._request = request
        self._resolved = resolved
        self._image_request = image_request
        self._folder = folder
        self._user = user
        self.files: list[Attachment] = []
        self.revised_prompts: list[str | None] = []

    @property
    def are_made(self) -> bool:
        """Whether every picture is a file."""
        return len(self.files) == self._image_request.n

    async def make(self) -> AsyncGenerator[ImageProgress, None]:
        """Make all pictures; yield the progress. Raises what refuses it; InvalidRequest names the shape's field."""
        try:
            async with engine_run(self._request, self._resolved, self._image_request, ENDPOINT, self._user) as engine:
                async for events in engine.events:
                    engine.count(events)
                    for image in (event for event in events if isinstance(event, GeneratedImage)):
                        await asyncio.to_thread(self._save, image)
                    for progress in (event for event in events if isinstance(event, ImageProgress)):
                        yield progress
                await engine.complete()
        except InvalidRequest as error:
            raise picture_error(error) from error

    def _save(self, image: GeneratedImage) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self._folder / f"picture_{image.image_index}"
        file.touch(mode=0o600)
        file.write_bytes(image.data)
        self.files.append(Attachment(file))
        self.revised_prompts.append(image.revised_prompt)
