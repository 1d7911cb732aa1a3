"""The limits of OpenAI's image models by name: lengths, sizes, counts, qualities, defaults.

A model's own name allows all that this server can do. Knows nothing of requests.
"""

import re
from typing import NamedTuple

from homeport.domain import validation
from homeport.domain.errors import InvalidRequest
from homeport.domain.images import (
    EDGE_MAX,
    EDGE_MIN,
    PIXELS_MAX,
    ImageSize,
)

DEFAULT = "dall-e-2"
DEFAULT_CURRENT_MODEL = "gpt-image-1"
"""The default if the request has a field of today's models."""
AUTO = "auto"

_SIZE = re.compile(r"([1-9]\d{0,4})[xX*×]([1-9]\d{0,4})")
_NEW = re.compile(r"(chat)?gpt-[a-z0-9.-]*image[a-z0-9.-]*")
"""Today's models, and future ones of this family."""
_ALL_QUALITIES = ("standard", "hd", "low", "medium", "high", AUTO)


class ImageModelRules(NamedTuple):
    """The rules of one name. `sizes` empty: any within the server's limits; `size` "auto": the model's own.

    `is_strict`: uploads are square PNGs of less than 4 MB, transparent where they are edited.
    `returns_revised_prompt`: answers contain the prompt that was used, or what was drawn of it.
    """

    prompt_chars: int = 32_000
    max_images: int = 10
    sizes: tuple[str, ...] = ()
    size: str = AUTO
    qualities: tuple[str, ...] = _ALL_QUALITIES
    response_format: str = "b64_json"
    is_strict: bool = False
    returns_revised_prompt: bool = False


_SQUARES = ("256x256", "512x512", "1024x1024")
_DALL_E_3 = ("1024x1024", "1792x1024", "1024x1792")
_GPT_SIZES = ("1024x1024", "1536x1024", "1024x1536", AUTO)
_GPT = ImageModelRules(sizes=_GPT_SIZES, qualities=("low", "medium", "high", AUTO))
_GPT_ANY = _GPT._replace(sizes=())
_OPENAI = {
    "dall-e-2": ImageModelRules(1_000, 10, _SQUARES, "1024x1024", ("standard", AUTO), "url", is_strict=True),
    "dall-e-3": ImageModelRules(
        4_000, 1, _DALL_E_3, "1024x1024", ("standard", "hd", AUTO), "url", is_strict=True, returns_revised_prompt=True
    ),
    "gpt-image-1": _GPT,
    "gpt-image-1-mini": _GPT,
    "gpt-image-1.5": _GPT,
    "chatgpt-image-latest": _GPT,
}
_OWN_NAME = ImageModelRules(returns_revised_prompt=True)


def rules_for(name: str) -> ImageModelRules:
    """Return the rules of the name that the caller uses."""
    return _OPENAI.get(name) or (_GPT_ANY if _NEW.fullmatch(name[:100]) else _OWN_NAME)


def parse_size(rules: ImageModelRules, value: str | None) -> ImageSize | None:
    """Parse a size such as `1024x1024` or `1024*1024`; None is the model's own size. Raises InvalidRequest."""
    text = rules.size if value is None else value
    match = _SIZE.fullmatch(text)
    plain = f"{match[1]}x{match[2]}" if match else text
    if rules.sizes:
        validation.check_choice("size", plain, rules.sizes)
    if plain == AUTO:
        return None
    if match is None:
        message = f"Invalid value: '{text[:100]}'. A size is written as '1024x1024', or 'auto'."
        raise InvalidRequest(message, param="size", code="invalid_value")
    size = ImageSize(int(match[1]), int(match[2]))
    edges = sorted((size.width, size.height))
    if edges[0] < EDGE_MIN or edges[1] > EDGE_MAX or size.width * size.height > PIXELS_MAX:
        raise InvalidRequest(
            f"Invalid value: '{plain}'. Edges must be {EDGE_MIN} to {EDGE_MAX} pixels, and all pixels together at most "
            f"{PIXELS_MAX}.",
            param="size",
            code="invalid_value",
        )
    return size
