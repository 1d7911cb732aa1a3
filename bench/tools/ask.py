"""The runner: asks any server with OpenAI's chat completions for the calls of each case, and keeps the answers.

Answers are JSON lines, written as they come, so that an interrupted run continues where it stopped. Knows nothing of
what is right.
"""

import concurrent.futures
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from bench.tools.cases import Case
from bench.tools.judge import Answer, Call

_LIMIT_S = 600.0
_SHOWN_CHARACTERS = 200


class Endpoint(msgspec.Struct, frozen=True):
    """A server's base URL, such as http://127.0.0.1:8080/v1, and what to send to it.

    `tool_choice`: `auto`, or `required` so that it must make a call. `prefill`: the begin of every answer, sent as the
    last message: llama.cpp lets a model write any text before a required call, and ends it only at `max_tokens`.
    """

    url: str
    model: str
    key: str = "bench"
    max_tokens: int = 512
    tool_choice: str = "auto"
    prefill: str = ""


class _CalledFunction(msgspec.Struct):
    name: str
    arguments: str


class _ToolCall(msgspec.Struct):
    function: _CalledFunction


class _Message(msgspec.Struct):
    content: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str = ""


class _Usage(msgspec.Struct):
    completion_tokens: int = 0


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage = msgspec.field(default_factory=_Usage)


def body(to: Endpoint, case: Case) -> dict[str, Any]:
    """The request for a case."""
    begun = [{"role": "assistant", "content": to.prefill}] if to.prefill else []
    return {
        "model": to.model,
        "messages": [*case.messages, *begun],
        "tools": case.tools,
        "tool_choice": to.tool_choice,
        "temperature": 0,
        "max_tokens": to.max_tokens,
    }


def ask(to: Endpoint, case: Case) -> Answer:
    """Ask for one case. A failure is recorded, not raised."""
    head = {"Content-Type": "application/json", "Authorization": f"Bearer {to.key}"}
    url = f"{to.url}/chat/completions"
    request = urllib.request.Request(url, msgspec.json.encode(body(to, case)), head)  # noqa: S310 - given by the user
    start = time.perf_counter()
    try:
        with urllib.request.urlopen(request, timeout=_LIMIT_S) as response:  # noqa: S310 - given by the user
            found = msgspec.json.decode(response.read(), type=_Completion)
    except urllib.error.HTTPError as error:
        content = error.read().decode("utf-8", "replace")[:_SHOWN_CHARACTERS]
        return Answer(case.id, failure=f"{error.code} {content}")
    except (OSError, msgspec.DecodeError) as error:
        return Answer(case.id, failure=str(error)[:_SHOWN_CHARACTERS] or type(error).__name__)
    choice = found.choices[0]
    return Answer(
        case.id,
        [Call(call.function.name, call.function.arguments) for call in choice.message.tool_calls or ()],
        choice.message.content or "",
        choice.finish_reason,
        wall_s=time.perf_counter() - start,
        tokens=found.usage.completion_tokens,
    )


def read(path: Path) -> list[Answer]:
    """The answers in a file, of each case the last; none if there is no file."""
    if not path.exists():
        return []
    lines = path.read_bytes().splitlines()
    return list({each.id: each for each in (msgspec.json.decode(line, type=Answer) for line in lines)}.values())


def run(
    to: Endpoint, wanted: Iterable[Case], path: Path, concurrency: int = 1, say: Callable[[str], None] = lambda _: None
) -> list[Answer]:
    """Ask for the cases that the file does not answer yet, and return the answers to all."""
    wanted = list(wanted)
    known = {each.id for each in read(path) if not each.failure}
    missing = [case for case in wanted if case.id not in known]
    with path.open("ab") as file, concurrent.futures.ThreadPoolExecutor(concurrency) as pool:
        for count, answer in enumerate(pool.map(lambda case: ask(to, case), missing), 1):
            file.write(msgspec.json.encode(answer) + b"\n")
            file.flush()
            say(f"{count} of {len(missing)}: {answer.id} {answer.failure or f'{answer.wall_s:.1f} s'}")
    found = {each.id: each for each in read(path)}
    return [found[case.id] for case in wanted]
