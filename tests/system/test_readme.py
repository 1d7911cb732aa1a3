"""The samples of the READMEs and of docs/ run as they are, and their answers have the shape shown and are correct."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.system.server import ServerProcess

_README = ["chat", "stream", "response", "completion", "edit", "embeddings", "audio"]
SHOWN = {"README.md": _README, "README.zh.md": _README, "docs/operations.md": ["models"], "docs/tools.md": ["tools"]}
ROOT = Path(__file__).parents[2]
_STEP = re.compile(
    r"```(sh|python)\n((?:(?!```).)*)```\n\n"
    r"((?:<details><summary>[^\n]*</summary>\n\n)?<!-- output:(\w+) -->\n```(json|text)\n)((?:(?!```).)*)```",
    re.DOTALL,
)


class Step(NamedTuple):
    """A sample of a page: its program, and the output shown below it. JSON is shown indented, text as it is."""

    language: str
    code: str
    name: str
    format: str
    shown: str


def _steps(text: str) -> list[Step]:
    return [Step(language, code, *rest) for language, code, _, *rest in _STEP.findall(text)]


def _shape(step: Step, shown: str) -> list[str]:
    """The lines of JSON without their values: names and nesting. Values differ by machine, time and rounding."""
    if step.format == "text":
        return [str(bool(shown.strip()))]
    return [
        re.sub(r'(:\s*)?("(?:[^"\\]|\\.)*"|-?[\d.]+(?:e[-+]?\d+)?|true|false|null|… \d+ more)(,?)$', r"\1_\3", line)
        for line in shown.splitlines()
    ]


def _is_chatting(entry: Mapping[str, Any]) -> bool:
    return bool(entry.get("loaded")) and "chat" in entry["capabilities"]


def _shown(printed: str) -> str:
    """What a program printed, as the pages show it: one JSON document a line, indented.

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


def _run(step: Step, port: int) -> str:
    """Run the sample against the server on `port`, with the environment that the README's first lines set."""
    program = step.code.replace(":8080/", f":{port}/")
    command = [sys.executable, "-c", program] if step.language == "python" else ["sh", "-c", program]
    variables = {"OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1", "OPENAI_API_KEY": "homeport"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **variables}
    )
    assert done.returncode == 0, done.stderr
    return _shown(done.stdout) if step.format == "json" else done.stdout.rstrip() + "\n"


@pytest.fixture(scope="module")
def outputs(default_server: ServerProcess, installed: Mapping[str, Path]) -> dict[str, str]:
    """What each sample of each page prints now. A sample that several pages show alike runs once."""
    assert installed
    # The server that `--write-pages` describes has just loaded its model; this one may have unloaded it.
    hello = [{"role": "user", "content": "Hello"}]
    default_server.call("POST", "/v1/chat/completions", {"model": "gpt-3.5-turbo", "messages": hello, "max_tokens": 1})
    printed: dict[str, str] = {}
    programs: dict[str, str] = {}
    for page in SHOWN:
        for step in _steps((ROOT / page).read_text("utf-8")):
            if programs.setdefault(step.name, step.code) != step.code:
                raise AssertionError(f"{page} shows another program for {step.name} than the pages before it")
            if step.name not in printed:
                printed[step.name] = _run(step, default_server.port)
    return printed


@pytest.mark.parametrize("page", SHOWN)
def test_pages_show_what_their_samples_print(
    page: str, outputs: dict[str, str], request: pytest.FixtureRequest
) -> None:
    """Each sample's output is below it; `--write-pages` puts it there."""
    path = ROOT / page
    text = path.read_text("utf-8")
    assert [step.name for step in _steps(text)] == SHOWN[page]
    if request.config.getoption("--write-pages"):
        text = _STEP.sub(lambda m: m[0].removesuffix(m[6] + "```") + outputs[m[4]] + "```", text)
        path.write_text(text, encoding="utf-8")
    for step in _steps(text):
        assert _shape(step, step.shown) == _shape(step, outputs[step.name]), f"{step.name} is stale: run `make docs`"


def test_every_output_belongs_to_a_sample() -> None:
    """No page has an output that no sample is found for, and no other page has outputs."""
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")):
        names = re.findall(r"<!-- output:(\w+) -->", path.read_text("utf-8"))
        assert names == SHOWN.get(path.relative_to(ROOT).as_posix(), [])


def test_the_samples_answers_are_right(outputs: dict[str, str]) -> None:
    """The edit is corrected, the completion is code, the chat knows the answer, and so on: each means something."""
    assert outputs["edit"] == "What day of the week is it?\n"
    assert "Rome" in outputs["response"]
    assert "return" in outputs["completion"]
    assert "4" in outputs["stream"]
    assert "Paris" in json.loads(outputs["chat"])["choices"][0]["message"]["content"]
    tools = json.loads(outputs["tools"])
    assert tools["tool"] == "get_weather"
    assert "Paris" in json.loads(tools["arguments"])["city"]
    assert list(json.loads(tools["bound"])) == ["city"]
    near = json.loads(outputs["embeddings"])
    assert near["same question"] > near["unrelated"]
    assert "morning from my own machine" in json.loads(outputs["audio"])["text"]
