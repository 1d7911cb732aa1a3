"""Requests as programs: what the page writes is run, and gets the answer that the request itself gets."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.system.client_programs import PYTHON as PYTHON_2023
from tests.system.page.conftest import Visiting
from tests.system.server import ServerProcess

KEY = "a-'secret'-key"
TEXTS = (
    "Say 'it''s', \"quoted\", `ticks`, $HOME, $(date), ${x} and !bang.\n\nJSON\nEOF\n'''\n\"\"\"\n",
    "Back\\slash, \\n, \\u0041, %s {0} {{x}} #{y}\r\ntab\t, \u2028 and \u2029, \x7f and \x01.",
    "表情 😀𠜎 e\u0301 \u200d 中文 \ufeff",
    "</script><!-- `${1 + 1}` -->",
)
TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": 'It\'s "the" tool.',
        "parameters": {
            "type": "object",
            "properties": {"__proto__": {"type": "string", "enum": ["a'b", 'c"d']}, "n": {"type": "integer"}},
            "required": ["__proto__"],
            "additionalProperties": False,
        },
    },
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": '{"__proto__": "a\'b"}'}}
BODIES: dict[str, dict[str, Any]] = {
    "texts": {
        "model": "smollm2-135m",
        "messages": [
            {"role": "system", "content": TEXTS[0]},
            {"role": "user", "content": [{"type": "text", "text": text} for text in TEXTS[1:]]},
        ],
        "temperature": 0,
        "max_tokens": 12,
        "stop": ["\\", "\n\n\n"],
    },
    "extensions": {
        "model": "gpt-3.5-turbo",
        "messages": [{"role": "user", "content": "Count: 1, 2, 3,"}],
        "temperature": 0.8,
        "top_k": 20,
        "min_p": 0.05,
        "seed": 7,
        "max_tokens": 12,
        "logprobs": True,
        "top_logprobs": 2,
        "reasoning_effort": "low",
        "stream": True,
        "stream_options": {"include_usage": True},
    },
    "tools": {
        "model": "smollm2-135m",
        "messages": [
            {"role": "user", "content": "Look it up."},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "call_1", "content": '{"found": null, "is": true, "n": 1.5e300}'},
        ],
        "temperature": 0,
        "max_tokens": 12,
        "tools": [TOOL],
        "tool_choice": "none",
    },
}
Writer = Callable[..., str]


@pytest.fixture
def write(server: ServerProcess, visit: Visiting) -> Writer:
    """Return a function that has the page write a request as code."""
    seen = visit(server)
    seen.find("heading", "Welcome").wait_for()
    script = """async ([language, program]) => {
        const base = document.querySelector("script[src$='main.js']").src.replace(/main\\.js$/, "");
        const code = await import(`${base}views/chat/as_code/request_code.js`);
        const body = JSON.parse(program.body);
        return code.toCode(language, {...program, body: program.shorten ? code.shortenData(body).body : body});
    }"""

    def make(language: str, body: Any, **options: Any) -> str:
        program = {"baseUrl": server.base, "needsKey": True, "body": json.dumps(body), **options}
        return str(seen.page.evaluate(script, [language, program]))

    return make


def run(command: list[str], code: str, folder: Path) -> str:
    """Run a program that is given on standard input; return what it prints."""
    environ = {**os.environ, "OPENAI_API_KEY": KEY, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    environ["PYTHONUTF8"] = "1"
    done = subprocess.run(command, input=code.encode(), capture_output=True, env=environ, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return done.stdout.decode()


def answer_of(server: ServerProcess, body: dict[str, Any]) -> str:
    """Send a request as it is, not streamed; return the answer's text."""
    whole = {name: value for name, value in body.items() if not name.startswith("stream")}
    answer = server.call("POST", "/v1/chat/completions", whole).json()
    return str(answer["choices"][0]["message"]["content"])


CURL = """#!{python}
# Where curl is not installed: sends what it would send.
import sys, urllib.request
args = sys.argv[1:]
headers = dict(args[i + 1].split(": ", 1) for i, each in enumerate(args) if each == "-H")
[url] = [each for i, each in enumerate(args) if each.startswith("http") and args[i - 1] != "-H"]
request = urllib.request.Request(url, sys.stdin.buffer.read(), headers)
sys.stdout.buffer.write(urllib.request.urlopen(request).read())
"""


def add_curl(folder: Path) -> None:
    """Put a stand-in for curl into a folder, unless there is one."""
    if shutil.which("curl") is None:
        (folder / "curl").write_text(CURL.format(python=sys.executable), encoding="utf-8")
        (folder / "curl").chmod(0o755)


def text_of(printed: str) -> str:
    """Return the text of an answer that curl printed, streamed or not."""
    if printed.startswith("{"):
        return str(json.loads(printed)["choices"][0]["message"]["content"])
    lines = [line.removeprefix("data: ") for line in printed.splitlines() if line.startswith("data: {")]
    chunks = [json.loads(line) for line in lines]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


@pytest.mark.parametrize("name", BODIES)
def test_curl_gets_the_same_answer(server: ServerProcess, write: Writer, tmp_path: Path, name: str) -> None:
    """The command for curl, run by a shell, gets the request's answer."""
    add_curl(tmp_path)
    code = write("curl", BODIES[name])
    assert KEY not in code
    assert text_of(run(["sh"], code, tmp_path)) == answer_of(server, BODIES[name])


MESSAGES = {"python": ("(completion.choices[0].message", ".content"), "python_2023": ('[0]["message"]', '["content"]')}
"""How the programs print a whole message, for requests with tools, and what prints its text."""


@pytest.mark.parametrize("language", ["python", "python_2023"])
def test_python_gets_the_same_answers(server: ServerProcess, write: Writer, tmp_path: Path, language: str) -> None:
    """The programs for both generations of OpenAI's library get the requests' answers."""
    message, content = MESSAGES[language]
    codes = [write(language, body).replace(f"{message})", f"{message}{content})") for body in BODIES.values()]
    assert "".join(codes).count(content) >= 2
    command = [sys.executable if language == "python" else str(PYTHON_2023), "-"]
    printed = run(command, '\nprint("\\x1e", end="")\n'.join(codes), tmp_path).split("\x1e")
    assert printed == [f"{answer_of(server, body)}\n" for body in BODIES.values()]


STAND_IN = """
    class OpenAI {
        constructor({baseURL}) {
            this.baseURL = baseURL;
            this.chat = {completions: {create: (body) => this.send(body)}};
        }
        async send(body) {
            const request = {method: "POST", body: JSON.stringify(body), headers: {"content-type": "application/json"}};
            const answer = await fetch(`${this.baseURL}/chat/completions`, request);
            if (!body.stream) return answer.json();
            const lines = (await answer.text()).split("\\n").filter((line) => line.startsWith("data: {"));
            return (async function* () { for (const line of lines) yield JSON.parse(line.slice(6)); })();
        }
    }
    const printed = [];
    const process = {env: {}, stdout: {write: (text) => printed.push(text)}};
    const console = {log: (value) => printed.push(value.content ?? value)};
"""
"""What a program for Node needs of its library, and what it prints on."""


@pytest.mark.parametrize("name", BODIES)
def test_node_gets_the_same_answer(server: ServerProcess, visit: Visiting, write: Writer, name: str) -> None:
    """The program for Node, run by a browser with a stand-in for the library, gets the request's answer."""
    first, _, code = write("node", BODIES[name]).partition("\n")
    assert first == 'import OpenAI from "openai";'
    assert "OPENAI_API_KEY" in code
    seen = visit(server)
    printed = seen.page.evaluate(f"(async () => {{ {STAND_IN} {code} return printed.join(''); }})()")
    assert printed == answer_of(server, BODIES[name])


@pytest.mark.parametrize("language", ["curl", "python", "python_2023", "node"])
def test_a_server_without_keys_needs_none(write: Writer, language: str) -> None:
    """For a server that needs no key the code names no environment variable."""
    assert "OPENAI_API_KEY" in write(language, BODIES["tools"])
    assert "OPENAI_API_KEY" not in write(language, BODIES["tools"], needsKey=False)


def test_data_is_shortened_visibly(write: Writer) -> None:
    """Of a long picture or recording only the beginning is shown, with a mark; short ones are whole."""
    long, short = "data:image/png;base64," + "A" * 900, "data:image/png;base64,AAAA"
    parts = [
        {"type": "image_url", "image_url": {"url": long, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": short}},
        {"type": "input_audio", "input_audio": {"data": "B" * 900, "format": "wav"}},
    ]
    code = write("curl", {"model": "m", "messages": [{"role": "user", "content": parts}]}, shorten=True)
    assert "AAAAAAAAAA…(+" in code
    assert "BBBBBBBBBB…(+868)" in code
    assert f'"{short}"' in code
    assert '"detail": "low"' in code
    assert len(code) < 1500
