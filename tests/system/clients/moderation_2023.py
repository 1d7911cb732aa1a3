"""Drives moderation with openai==0.28.1 as code of 2023 did. Prints one JSON object: scenario → result.

Run as `python moderation_2023.py BASE_URL`.
"""

import importlib
import json
import sys
from typing import Any

openai: Any = importlib.import_module("openai")
openai.api_key = "sk-2023"
openai.api_base = sys.argv[1]


def _error(**wish: Any) -> Any:
    try:
        openai.Moderation.create(**wish)
    except openai.error.InvalidRequestError as error:
        return [error.http_status, error.param]
    return None


seen = {
    "plain": openai.Moderation.create(input="I want to kill them."),
    "latest": openai.Moderation.create(input="I want to kill them.", model="text-moderation-latest"),
    "stable": openai.Moderation.create(input=["Good morning!", "我要杀了他们。"], model="text-moderation-stable"),
    "wrong": _error(input=[]),
}
sys.stdout.write(json.dumps(seen))
