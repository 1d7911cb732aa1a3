"""The README's own commands, typed as written, give answers of the shape it shows, and right ones."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.system.server import ServerProcess

SHOWN = ["models", "edit", "completion", "chat", "embeddings", "audio", "moderation"]
ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "README.zh.md"]
_STEP = re.compile(
    r"```(sh|python)\n((?:(?!```).)*)```\n\n(<!-- output:(\w+) -->\n```json\n)((?:(?!```).)*)```", re.DOTALL
)


def _shape(shown: str) -> list[str]:
    """The lines without their values: names and nesting. Values differ by machine, time and rounding."""
    return [
        re.sub(r'(:\s*)?("(?:[^"\\]|\\.)*"|-?[\d.]+(?:e[-+]?\d+)?|true|false|null|… \d+ more)(,?)$', r"\1_\3", line)
        for line in shown.splitlines()
    ]


def _is_chatting(entry: Mapping[str, Any]) -> bool:
    return bool(entry.get("loaded")) and "chat" in entry["capabilities"]


def _shown(printed: str) -> str:
    """What a program printed, as the README shows it: one JSON document a line, indented.

    Of a list one entry is shown, a loaded model that chats: which others are installed or loaded differs.
    """
    parts = []
    for line in printed.splitlines():
        document = json.loads(line)
        if document.get("object") == "list" and len(document["data"]) > 1:
            left = len(document["data"]) - 1
            first = next((entry for entry in document["data"] if _is_chatting(entry)), document["data"][0])
            cut = json.dumps({**document, "data": [first]}, indent=2, ensure_ascii=False)
            parts.append(cut.replace("\n  ]", f",\n    … {left} more\n  ]"))
        else:
            parts.append(json.dumps(document, indent=2, ensure_ascii=False))
    return "\n".join(parts) + "\n"


def _typed(kind: str, code: str, port: int) -> str:
    program = code.replace(":8080/", f":{port}/")
    command = [sys.executable, "-c", program] if kind == "python" else ["sh", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def outputs(home: ServerProcess, installed: Mapping[str, Path]) -> dict[str, str]:
    """What each of the README's steps prints now."""
    assert installed
    # The README's server has just loaded its model; this one may have been idle for long enough to unload it.
    hello = [{"role": "user", "content": "Hello"}]
    home.call("POST", "/v1/chat/completions", {"model": "gpt-3.5-turbo", "messages": hello, "max_tokens": 1})
    steps = _STEP.findall(PAGES[0].read_text("utf-8"))
    return {name: _shown(_typed(kind, code, home.port)) for kind, code, _, name, _ in steps}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_readme_shows_what_its_commands_print(
    page: Path, outputs: dict[str, str], request: pytest.FixtureRequest
) -> None:
    """Each step's output stands below it; `--write-pages` puts it there."""
    text = page.read_text("utf-8")
    steps = _STEP.findall(text)
    assert [step[3] for step in steps] == SHOWN == list(outputs)
    if request.config.getoption("--write-pages"):
        text = _STEP.sub(lambda m: m[0].removesuffix(m[5] + "```") + outputs[m[4]] + "```", text)
        page.write_text(text, encoding="utf-8")
    for _, _, _, name, shown in _STEP.findall(text):
        assert _shape(shown) == _shape(outputs[name]), f"the output of {name}: run `make docs`"


def test_the_readmes_answers_are_right(outputs: dict[str, str]) -> None:
    """The edit is mended, the completion is code, the chat knows the answer, and so on: each means something."""
    assert json.loads(outputs["edit"])["choices"][0]["text"] == "What day of the week is it?"
    assert "return" in json.loads(outputs["completion"])["choices"][0]["text"]
    assert "Paris" in json.loads(outputs["chat"])["choices"][0]["message"]["content"]
    near = json.loads(outputs["embeddings"])
    assert near["same question in Chinese"] > near["another matter"]
    assert "morning from my own machine" in json.loads(outputs["audio"])["heard"]
    (verdict,) = json.loads(outputs["moderation"])["results"]
    assert verdict["flagged"]
    assert verdict["categories"]["violence"]
