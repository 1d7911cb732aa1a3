"""Drives `/v1/embeddings` with openai==0.28.1 as code of 2023 did. Prints one JSON object: scenario → result.

Run as `python embeddings_2023.py BASE_URL`. That client asks for base64 by itself and decodes it.
"""

import importlib
import json
import sys
from collections.abc import Callable
from typing import Any

openai: Any = importlib.import_module("openai")
openai.api_key = "sk-2023"
openai.api_base = sys.argv[1]
ADA = "text-embedding-ada-002"
TEXT = "hello world"


def _create(given: Any, **wish: Any) -> Any:
    return openai.Embedding.create(**{"model": ADA, "input": given, **wish})


def _error(call: Callable[[], Any]) -> Any:
    try:
        call()
    except openai.error.OpenAIError as error:
        return {"class": type(error).__name__, "param": error.param, "code": error.code, "message": str(error)}
    return None


SCENARIOS: dict[str, Callable[[], Any]] = {
    "by_default": lambda: _create(TEXT),
    "float": lambda: _create(TEXT, encoding_format="float", user="someone"),
    "ids": lambda: _create([15339, 1917]),
    "arrays": lambda: _create([[15339, 1917], [15339]]),
    "texts": lambda: _create([TEXT, "hello"]),
    "by_engine": lambda: openai.Embedding.create(engine="text-similarity-ada-001", input=TEXT),
    "long": lambda: _error(lambda: _create("word " * 2000)),
    "empty": lambda: _error(lambda: _create("")),
}

if __name__ == "__main__":
    json.dump({name: scenario() for name, scenario in SCENARIOS.items()}, sys.stdout)
