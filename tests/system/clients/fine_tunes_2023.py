"""Drives `/v1/fine-tunes` with openai==0.28.1 as code of 2023 did. Prints one JSON object: scenario → result.

Run as `python fine_tunes_2023.py BASE_URL FILE PROMPT SETTINGS` with a file of examples and, as JSON, what
`FineTune.create` is given in addition.
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
FILE, PROMPT, SETTINGS = Path(sys.argv[2]), sys.argv[3], json.loads(sys.argv[4])


def _error(call: Callable[[], Any]) -> Any:
    try:
        call()
    except openai.error.OpenAIError as error:
        return {"class": type(error).__name__, "param": getattr(error, "param", None), "message": str(error)}
    return None


def _said(model: str) -> str:
    answer = openai.Completion.create(model=model, prompt=PROMPT, max_tokens=12, temperature=0)
    return str(answer["choices"][0]["text"])


def main() -> dict[str, Any]:
    """Train a model, follow its events, query it and its base model, and delete it."""
    with FILE.open("rb") as file:
        sent = openai.File.create(file=file, purpose="fine-tune", user_provided_filename="examples.jsonl")
    created = openai.FineTune.create(training_file=sent.id, **SETTINGS)
    received = [event["message"] for event in openai.FineTune.stream_events(created.id)]
    done = openai.FineTune.retrieve(created.id)
    tuned = done["fine_tuned_model"]
    return {
        "created": created,
        "streamed": received,
        "done": done,
        "listed": [job.id for job in openai.FineTune.list().data],
        "events": [event["message"] for event in openai.FineTune.list_events(created.id)["data"]],
        "ended": _error(lambda: openai.FineTune.cancel(created.id)),
        "results": openai.File.download(done["result_files"][0]["id"]).decode(),
        "models": [model.id for model in openai.Model.list().data],
        "tuned": _said(tuned),
        "base": _said(SETTINGS["model"]),
        "deleted": openai.Model.delete(tuned),
        "gone": _error(lambda: _said(tuned)),
    }


if __name__ == "__main__":
    json.dump(main(), sys.stdout)
