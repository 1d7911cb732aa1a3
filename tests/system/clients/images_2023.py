"""Calls the image endpoints with openai==0.28.1 as code of 2023 did. Prints one JSON object: scenario → result.

Run as `python images_2023.py BASE_URL IMAGE_FILE MASK_FILE WIDE_FILE`: square PNGs, and one that is not square.
"""

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

openai: Any = importlib.import_module("openai")
openai.api_key = "sk-2023"
openai.api_base = sys.argv[1]
IMAGE, MASK, WIDE = (Path(name) for name in sys.argv[2:5])


def _error(call: Callable[[], Any]) -> Any:
    try:
        call()
    except openai.error.OpenAIError as error:
        return {"class": type(error).__name__, "status": error.http_status, "param": getattr(error, "param", None)}
    return None


SCENARIOS: dict[str, Callable[[], Any]] = {
    "create": lambda: openai.Image.create(prompt="a red fox", n=2, size="256x256", user="u"),
    "star": lambda: openai.Image.create(prompt="a red fox", size="256*256", response_format="b64_json", seed=3),
    "again": lambda: openai.Image.create(prompt="a red fox", size="256x256", response_format="b64_json", seed=3),
    "edit": lambda: openai.Image.create_edit(
        image=IMAGE.read_bytes(),
        mask=MASK.read_bytes(),
        prompt="a hat",
        n=2,
        size="256x256",
        response_format="b64_json",
        user="u",
    ),
    "own_alpha": lambda: openai.Image.create_edit(
        image=MASK.open("rb"), prompt="a hat", n=1, size="256x256", response_format="b64_json"
    ),
    "variation": lambda: openai.Image.create_variation(
        image=IMAGE.open("rb"), n=2, size="256x256", response_format="url", user="u"
    ),
    "range": lambda: _error(lambda: openai.Image.create(prompt="a red fox", n=11)),
    "size": lambda: _error(lambda: openai.Image.create(prompt="a red fox", size="300x300")),
    "not_square": lambda: _error(lambda: openai.Image.create_variation(image=WIDE.open("rb"), size="256x256")),
    "no_hole": lambda: _error(lambda: openai.Image.create_edit(image=IMAGE.open("rb"), prompt="x", size="256x256")),
    "mismatch": lambda: _error(
        lambda: openai.Image.create_edit(image=IMAGE.open("rb"), mask=WIDE.open("rb"), prompt="x", size="256x256")
    ),
    "no_picture": lambda: _error(lambda: openai.Image.create_variation(image=Path(__file__).read_bytes())),
}

if __name__ == "__main__":
    json.dump({name: scenario() for name, scenario in SCENARIOS.items()}, sys.stdout)
