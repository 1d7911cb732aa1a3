"""Checks the tool calls of a chat template: a program that reads one from standard input and writes a report as JSON.

It renders a conversation with tools, writes calls in the format that was derived from the template, reads them with the
server's parser and renders them as history. Knows nothing of models, tokens or grammars.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from homeport.domain.content import Message, ToolCallPart, ToolResultPart, text_message
from homeport.domain.models import ToolCheck, ToolCheckStep
from homeport.domain.text import ChatPrompt
from homeport.domain.tools import Tool, ToolUse
from homeport.engines.text.answers.answer_format import AnswerFormat
from homeport.engines.text.answers.answer_parser import AnswerParser
from homeport.engines.text.answers.call_writer import write_calls
from homeport.engines.text.answers.segments import CallArguments, CallBegin, ContentText, ReasoningText
from homeport.engines.text.templates.model_families import HARMONY
from homeport.engines.text.templates.renderer import TemplateRenderer
from homeport.engines.text.templates.sandbox import ChatTemplateError
from homeport.engines.text.templates.support import TemplateSupport

# The model's own tokens are not known here; without a mark, a turn's end could not be found.
_TOKENS = {f"{short}_token": f"<{short}>" for short in ("bos", "eos", "unk", "pad")}
_PARAMETERS = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "place": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "floors": {"type": "array", "items": {"type": "integer"}}},
        },
        "pinned": {"type": "boolean"},
    },
}
_TOOLS = (Tool("save_note", "Save a note.", json.dumps(_PARAMETERS)), Tool("read_clock", "Read the clock."))
_ARGUMENTS: Mapping[str, Any] = {
    "title": 'He said "Grüß Gott" and left; 你好 🦙',
    "tags": ["plain", 'a "quoted" tag'],
    "place": {"city": "São Paulo", "floors": [1, -2]},
    "pinned": True,
}
_CALLS = (("save_note", _ARGUMENTS), ("read_clock", dict[str, Any]()))
_THOUGHT = "The user wants a note."
_RESULT = "Saved as note number 4711."


def check(source: str) -> ToolCheck:
    """Check a template's tool calls and report each step's result."""
    try:
        renderer = TemplateRenderer(source, _TOKENS)
    except ChatTemplateError as error:
        return ToolCheck(fault=str(error))
    try:
        support = renderer.support
        steps = (
            ToolCheckStep("the tools are in the prompt", _missing_tools(renderer)),
            ToolCheckStep("calls are read back, however the answer is split", _misread(support.format)),
            *_history_steps(renderer, support),
        )
        return _describe(support, steps)
    finally:
        renderer.close()


def _describe(support: TemplateSupport, steps: tuple[ToolCheckStep, ...]) -> ToolCheck:
    format = support.format
    marks: dict[str, str] = {}
    if format.calls is not None:
        fields = ("section_begin", "begin", "name_end", "end", "separator", "section_end")
        marks = {field: mark for field in fields if (mark := getattr(format.calls, field))}
        marks["arguments"] = type(format.calls.arguments).__name__.removesuffix("Arguments")
    if format.reasoning is not None:
        marks |= {"reasoning_begin": format.reasoning.begin, "reasoning_end": format.reasoning.end}
    return ToolCheck(
        family=format.family,
        is_verified=support.is_verified,
        is_generic=support.is_generic,
        marks=marks,
        switch=support.switch.name,
        steps=steps,
    )


def _missing_tools(renderer: TemplateRenderer) -> str:
    """Return what a prompt with tools lacks; empty if nothing."""
    return _missing(renderer, (text_message("user", "Hello."),), (*(tool.name for tool in _TOOLS), "pinned"))


def _history_steps(renderer: TemplateRenderer, support: TemplateSupport) -> Iterator[ToolCheckStep]:
    """Check a conversation whose model called a tool."""
    name, arguments = _CALLS[0]
    calls = support.format.calls
    # gpt-oss's template writes earlier calls in another order than the model.
    begin = calls.begin.strip() if calls is not None and support.format != HARMONY else ""
    messages = (
        text_message("user", "Save it."),
        Message("assistant", (ToolCallPart("call_1", name, json.dumps(arguments)),)),
        Message("tool", (ToolResultPart("call_1", _RESULT),)),
    )
    yield ToolCheckStep(
        "an earlier call is in the prompt, with all its arguments",
        _missing(renderer, messages, (begin, name, *_leaves(arguments))),
    )
    yield ToolCheckStep("its result is in the prompt", _missing(renderer, messages, (_RESULT,)))


def _missing(renderer: TemplateRenderer, messages: tuple[Message, ...], texts: Iterable[str]) -> str:
    """Return which of the texts a prompt lacks, or why it cannot be rendered; empty if neither."""
    try:
        prompt = renderer.render_prompt(ChatPrompt(messages, ToolUse(_TOOLS))).text
    except ChatTemplateError as error:
        return f"refused ({error})"
    absent = [text for text in texts if not any(form in prompt for form in _forms(text))]
    return f"not there: {', '.join(absent)}" if absent else ""


def _forms(text: str) -> tuple[str, ...]:
    """Return a text as it is, and as templates write it in JSON, in ASCII, or in JSON of JSON."""
    quoted = json.dumps(text, ensure_ascii=False)[1:-1]
    return text, quoted, json.dumps(text)[1:-1], json.dumps(quoted, ensure_ascii=False)[1:-1]


def _leaves(value: Any) -> Iterator[str]:
    """Yield the keys and values in a call's arguments."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield key
            yield from _leaves(each)
    elif isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    elif not isinstance(value, bool):  # templates write it as `true` or `True`
        yield str(value)


def _misread(format: AnswerFormat) -> str:
    """Write an answer, read it whole, by character, and in two pieces at every place; return a fault or nothing."""
    if format.calls is None:
        return "the format has no calls"
    calls = _CALLS[:1] if format.calls.is_single else _CALLS
    text = write_calls(format.calls, calls)
    thought = _THOUGHT if format.reasoning is not None else ""
    if format.reasoning is not None:
        text = f"{format.reasoning.begin}{_THOUGHT}{format.reasoning.end}{text}"
    expected = ("", thought, [(name, dict(arguments)) for name, arguments in calls])
    splits = [[text], list(text), *([text[:at], text[at:]] for at in range(1, len(text)))]
    for pieces in splits:
        try:
            found = _parse(format, pieces)
        except ValueError as error:
            return f"the arguments are not JSON ({error})"
        if found != expected:
            return f"read as {found}"[:500]
    return ""


def _parse(format: AnswerFormat, pieces: Iterable[str]) -> tuple[str, str, list[tuple[str, Any]]]:
    """Return content, reasoning and calls of an answer. Raises ValueError if arguments are not JSON."""
    tools = {tool.name: tool for tool in _TOOLS}
    parser = AnswerParser(format, tools, controls=(), starts_in_reasoning=False)
    segments = [segment for piece in pieces for segment in parser.feed(piece)] + parser.close(is_complete=True)
    content = "".join(segment.text for segment in segments if isinstance(segment, ContentText))
    reasoning = "".join(segment.text for segment in segments if isinstance(segment, ReasoningText))
    names = [segment.name for segment in segments if isinstance(segment, CallBegin)]
    arguments = [""] * len(names)
    for segment in segments:
        if isinstance(segment, CallArguments):
            arguments[segment.call] += segment.text
    return content, reasoning, [(name, json.loads(text)) for name, text in zip(names, arguments, strict=True)]


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(check(sys.stdin.buffer.read().decode("utf-8", "replace"))))
