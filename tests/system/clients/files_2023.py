"""Drives `/v1/files` with openai==0.28.1 as code of 2023 did. Prints one JSON object: scenario → result.

Run as `python files_2023.py BASE_URL PATH` with a file of examples.
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
FILE = Path(sys.argv[2])


def _error(call: Callable[[], Any]) -> Any:
    try:
        call()
    except openai.error.OpenAIError as error:
        return {"class": type(error).__name__, "param": error.param, "code": error.code, "message": str(error)}
    return None


def _sent() -> Any:
    with FILE.open("rb") as file:
        return openai.File.create(file=file, purpose="fine-tune", user_provided_filename="examples.jsonl")


def main() -> dict[str, Any]:
    """Upload a file, find it in every way, and delete it."""
    sent = _sent()
    size = FILE.stat().st_size
    return {
        "sent": sent,
        "shown": openai.File.retrieve(sent.id),
        "listed": [file.id for file in openai.File.list().data],
        "matching": [file["id"] for file in openai.File.find_matching_files("examples.jsonl", size, "fine-tune")],
        "content": openai.File.download(sent.id).decode(),
        "deleted": openai.File.delete(sent.id),
        "gone": _error(lambda: openai.File.retrieve(sent.id)),
        "bad": _error(lambda: openai.File.create(file=b"{}\n", purpose="fine-tune")),
    }


if __name__ == "__main__":
    json.dump(main(), sys.stdout)
