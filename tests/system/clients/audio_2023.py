"""Calls the audio endpoints with openai==0.28.1 as code of 2023 did. Prints one JSON object: scenario → result.

Run as `python audio_2023.py BASE_URL ENGLISH_FILE CHINESE_FILE`.
"""

import importlib
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

openai: Any = importlib.import_module("openai")
openai.api_key = "sk-2023"
openai.api_base = sys.argv[1]
ENGLISH, CHINESE = (Path(name) for name in sys.argv[2:4])


def _named(file: Path, name: str | None = None) -> io.BytesIO:
    opened = io.BytesIO(file.read_bytes())
    opened.name = name or file.name
    return opened


def _error(call: Callable[[], Any]) -> Any:
    try:
        call()
    except openai.error.OpenAIError as error:
        return {"class": type(error).__name__, "status": error.http_status, "param": getattr(error, "param", None)}
    return None


SCENARIOS: dict[str, Callable[[], Any]] = {
    "transcribe": lambda: openai.Audio.transcribe(
        "whisper-1", _named(ENGLISH), language="en", temperature=0, prompt="A walk."
    ),
    "verbose": lambda: openai.Audio.transcribe(
        "whisper-1", _named(CHINESE), language="zh", temperature=0.2, response_format="verbose_json"
    ),
    "translate": lambda: openai.Audio.translate(
        "whisper-1", _named(CHINESE), prompt="Hello.", temperature=0, response_format="json"
    ),
    "raw": lambda: openai.Audio.transcribe_raw("whisper-1", ENGLISH.read_bytes(), "walk.wav", response_format="srt"),
    "range": lambda: _error(lambda: openai.Audio.transcribe("whisper-1", _named(ENGLISH), temperature=2)),
    "no_sound": lambda: _error(
        lambda: openai.Audio.transcribe("whisper-1", _named(Path(__file__), "song.mp3"), language="en")
    ),
}

if __name__ == "__main__":
    json.dump({name: scenario() for name, scenario in SCENARIOS.items()}, sys.stdout)
