"""Drives a server with openai==0.28.1 as code of 2023 did. Prints one JSON object: scenario → result.

Run as `python sdk_2023.py BASE_URL MODEL`.
"""

import importlib
import json
import sys
from collections.abc import Callable
from typing import Any

openai: Any = importlib.import_module("openai")
openai.api_key = "sk-2023"
openai.api_base = sys.argv[1]
MODEL = sys.argv[2]
PROMPT = "The capital of France is"
ASK = [{"role": "user", "content": "What is the capital of France?"}]


def _complete(**wish: Any) -> Any:
    return openai.Completion.create(**{"model": MODEL, "prompt": PROMPT, "temperature": 0, "max_tokens": 8, **wish})


def _streamed(**wish: Any) -> Any:
    texts: dict[int, str] = {}
    for chunk in _complete(stream=True, **wish):
        for choice in chunk["choices"]:
            texts[choice["index"]] = texts.get(choice["index"], "") + choice["text"]
    return [texts[index] for index in sorted(texts)]


def _chat_stream() -> Any:
    chunks = openai.ChatCompletion.create(
        model="gpt-3.5-turbo", messages=ASK, stream=True, max_tokens=16, temperature=0
    )
    return "".join(c["delta"].get("content", "") for chunk in chunks for c in chunk["choices"])


def _error(call: Callable[[], Any]) -> Any:
    try:
        call()
    except openai.error.OpenAIError as error:
        return {
            "class": type(error).__name__,
            "status": error.http_status,
            "param": getattr(error, "param", None),
            "code": error.code,
            "message": str(error),
        }
    return None


SCENARIOS: dict[str, Callable[[], Any]] = {
    "models": lambda: [model["id"] for model in openai.Model.list()["data"]],
    "model": lambda: openai.Model.retrieve("text-davinci-003"),
    "engines": lambda: [engine["id"] for engine in openai.Engine.list()["data"]],
    "engine": lambda: openai.Engine.retrieve("davinci"),
    "complete": lambda: _complete(),
    "by_engine": lambda: openai.Completion.create(engine="davinci", prompt=PROMPT, max_tokens=8, temperature=0),
    "defaults": lambda: openai.Completion.create(model=MODEL, prompt=PROMPT),
    "shapes": lambda: [
        len(_complete(prompt=shape, n=2, best_of=2, max_tokens=2)["choices"])
        for shape in (PROMPT, [PROMPT, "x"], [504, 3575], [[504, 3575], [504]])
    ],
    "parameters": lambda: _complete(
        max_tokens=6, temperature=0.7, top_p=0.9, n=2, best_of=3, logprobs=5, echo=True, stop=["\n\n"],
        presence_penalty=0.5, frequency_penalty=0.5, logit_bias={"504": -100}, user="someone",
    ),
    "whole": lambda: [choice["text"] for choice in _complete(n=2, echo=True)["choices"]],
    "streamed": lambda: _streamed(n=2, echo=True),
    "chat": lambda: openai.ChatCompletion.create(
        model="gpt-3.5-turbo", messages=ASK, temperature=0, max_tokens=16, n=2, stop=["\n\n"], presence_penalty=0,
        frequency_penalty=0, logit_bias={}, user="someone", top_p=1,
    ),
    "chat_stream": _chat_stream,
    "azure": lambda: openai.ChatCompletion.create(
        engine="gpt-35-turbo", messages=ASK, temperature=0, max_tokens=16, api_type="azure", api_version="2023-05-15",
        api_base=sys.argv[1].removesuffix("/v1"),
    ),
    "edit": lambda: openai.Edit.create(
        model="text-davinci-edit-001", input="hello", instruction="Make it upper case", n=2, temperature=0.5, top_p=0.9
    ),
    "range": lambda: _error(lambda: _complete(temperature=3)),
    "unknown_model": lambda: _error(lambda: _complete(model="nobody")),
    "unknown_field": lambda: _error(lambda: _complete(no_such_field=1)),
    "overflow": lambda: _error(lambda: _complete(prompt="word " * 9000)),
    "best_of_stream": lambda: _error(lambda: list(_complete(best_of=2, stream=True))),
}  # fmt: skip

if __name__ == "__main__":
    json.dump({name: scenario() for name, scenario in SCENARIOS.items()}, sys.stdout)
