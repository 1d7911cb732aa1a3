"""Answers of all families are read into the same message however they are split."""

import json
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.domain.tools import Tool
from homeport.engines.text.answers.answer_format import without_unmarked
from homeport.engines.text.answers.answer_parser import AnswerParser
from homeport.engines.text.answers.marks import CONTROL
from homeport.engines.text.answers.segments import CallArguments, CallBegin, CallEnd, ContentText, ReasoningText
from tests.engines.text.answers.corpus import CASE_NAMES, CASES, CORPUS, FORMATS, TOOLS, Answer, generated
from tests.engines.text.answers.parsed_message import ParsedMessage, join, parse, parse_segments


def expected(answer: Answer, message: ParsedMessage) -> None:
    """Fail unless a message is what an answer means."""
    assert message.content == answer.content
    assert message.reasoning == answer.reasoning
    assert [(name, json.loads(arguments)) for name, arguments, _ in message.calls] == list(answer.calls)
    assert all(is_complete for *_, is_complete in message.calls)


@pytest.mark.parametrize(("family", "answer"), CASES, ids=CASE_NAMES)
def test_answers_are_read(family: str, answer: Answer) -> None:
    """Each family's answers are read as content, reasoning and calls with arguments of the schema's types."""
    expected(answer, parse(family, generated(family, answer.text)))


@pytest.mark.parametrize(("family", "answer"), CASES, ids=CASE_NAMES)
def test_every_split_gives_the_same_message(family: str, answer: Answer) -> None:
    """Every single split, single characters, and 100 random groupings give the message of the whole text."""
    text = generated(family, answer.text)
    whole = parse(family, text)
    assert parse(family, *text) == whole
    for at in range(len(text)):
        assert parse(family, text[:at], text[at:]) == whole
    draw = random.Random(text)
    for _ in range(100):
        places = sorted(draw.choices(range(len(text)), k=draw.randint(2, 12)))
        assert parse(family, *(text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True))) == whole


@pytest.mark.parametrize(("family", "answer"), CASES, ids=CASE_NAMES)
def test_cut_answers_are_beginnings(family: str, answer: Answer) -> None:
    """An answer that is cut anywhere has a beginning of each text, no mark in it, and calls whose names are whole."""
    text = generated(family, answer.text)
    whole = parse(family, text)
    for at in range(len(text)):
        cut = parse(family, text[:at], is_complete=False)
        assert cut == parse(family, *text[:at], is_complete=False)
        assert CONTROL not in cut.content + cut.reasoning
        assert whole.reasoning.startswith(cut.reasoning[: len(whole.reasoning)])
        assert len(cut.calls) <= len(whole.calls)
        for (name, arguments, is_complete), final in zip(cut.calls, whole.calls, strict=False):
            assert name == final[0]
            assert final[1].startswith(arguments)
            assert is_complete == (bool(arguments) and arguments == final[1])


@pytest.mark.parametrize(("family", "answer"), CASES, ids=CASE_NAMES)
def test_content_has_its_place(family: str, answer: Answer) -> None:
    """Each piece of content is exactly the characters that it says it covers, in order."""
    text = generated(family, answer.text)
    reached = 0
    for segment in parse_segments(family, text):
        if isinstance(segment, ContentText):
            assert text[segment.start : segment.end] == segment.text
            assert segment.start >= reached
            reached = segment.end


def test_only_beginnings_of_marks_are_held() -> None:
    """Text is returned at once, but for newlines and what may become a mark."""
    texts = [join(parse_segments("hermes", ["a <b", text])[:1]).content for text in (" c", ">")]
    assert texts == ["a <b", "a <b"]
    assert parse_segments("hermes", ["a <to", "ol!"])[0] == ContentText("a ", 0)


def test_strings_are_streamed() -> None:
    """String arguments are returned as they are written, not when they are complete."""
    for family, begin in (
        ("hermes", '<tool_call>\n{"name": "get_weather", "arguments": {"city": "'),
        ("qwen3-coder", "<tool_call>\n<function=get_weather>\n<parameter=city>\n"),
        ("llama4", '[get_weather(city="'),
        ("gemma4", generated("gemma4", '<|tool_call>call:get_weather{city:<|"|>')),
    ):
        segments = parse_segments(family, [begin, "Ro", "me"], is_complete=False)
        arguments = [segment.text for segment in segments if isinstance(segment, CallArguments)]
        assert arguments[-2:] == ["Ro", "me"]
        assert "".join(arguments) == '{"city": "Rome'


def test_reasoning_that_the_prompt_begins() -> None:
    """Where the prompt begins the reasoning, everything up to its end mark is reasoning, without space around it."""
    segments = parse_segments("minimax-m2", ["\nHm", ".\n\n", "</th", "ink>\n\nHi\n"], starts_in_reasoning=True)
    assert join(segments) == ParsedMessage("Hi\n", "Hm.", ())
    assert not any(isinstance(segment, ReasoningText) and segment.text.isspace() for segment in segments)
    assert join(parse_segments("minimax-m2", ["Hm</thi"], starts_in_reasoning=True)).reasoning == "Hm</thi"


def test_calls_while_thinking_are_thoughts() -> None:
    """A call inside reasoning is reasoning."""
    call = CORPUS["hermes"].simple
    message = parse("minimax-m2", f"<think>{call}</think>Hi")
    assert message == ParsedMessage("Hi", call, ())


def test_what_is_no_call_is_content() -> None:
    """Unknown tools, other marks' beginnings and calls without declared tools are content."""
    for text in (
        '<tool_call>\n{"name": "rm", "arguments": {}}\n</tool_call>',
        "<tool_call> is a mark",
        '<tool_call>\n{"name": 5}',
    ):
        assert parse("hermes", *text) == ParsedMessage(text, "", ())
    text = CORPUS["hermes"].simple
    assert join(parse_segments("hermes", [text], tools={})) == ParsedMessage(text, "", ())
    for text in ('{"name": "get_weather", "size": 1}', '{"a": 1}', "[get_weather]"):
        assert parse("llama3", *text).content == text
        assert parse("llama4", *text).content == text


def test_only_beginnings_of_unmarked_calls_are_held() -> None:
    """What may become a call without marks is held up to its arguments, and returned as soon as it cannot be one."""
    for text, at in (
        ('{"name": "John"}', '{"name": "John'),
        ("```python\n", "```"),
        ('{"names', '{"name'),
        (' {"name": "get_time", "size"', ' {"name": "get_time", "'),
        ('```json\n{\n  "name":\n1', '```json\n{\n  "name":\n'),
    ):
        parser = AnswerParser(FORMATS["hermes"], TOOLS, controls=(), starts_in_reasoning=False)
        assert not [segment for sign in at for segment in parser.feed(sign)]
        assert join(parser.feed(text[len(at)])).content.rstrip() == text[: len(at) + 1].rstrip()


def test_unmarked_calls_begin_before_their_arguments() -> None:
    """A call without marks is returned before its arguments are written, and its strings as they are written."""
    begin = '```json\n{\n  "name": "get_weather",\n  "arguments":'
    parser = AnswerParser(FORMATS["hermes"], TOOLS, controls=(), starts_in_reasoning=False)
    assert not parser.feed(begin[:-1])
    assert parser.feed(begin[-1]) == [CallBegin(0, "get_weather")]
    assert parser.feed(' {"city": "Ro') == [CallArguments(0, '{"city": "Ro')]
    assert parser.feed('me"}\n}\n```') == [CallArguments(0, 'me"}'), CallEnd(0)]
    assert not parser.close(is_complete=True)


def test_unmarked_calls_can_be_content() -> None:
    """Calls without marks are content in a format that leaves them out, and without tools."""
    call = '{"name": "get_time", "arguments": {}}'
    for format, tools in ((without_unmarked(FORMATS["hermes"]), TOOLS), (FORMATS["hermes"], {})):
        parser = AnswerParser(format, tools, controls=(), starts_in_reasoning=False)
        assert join(parser.feed(call) + parser.close(is_complete=True)) == ParsedMessage(call, "", ())
    assert without_unmarked(FORMATS["llama3"]) == FORMATS["llama3"]


def test_calls_after_unmarked_ones() -> None:
    """Text and marked calls after calls without marks are read as usual."""
    call = '{"name": "get_time", "arguments": {}}'
    message = parse("hermes", *f"```json\n{call}\n```\n\nHi\n{call}\n{CORPUS['hermes'].simple}")
    assert message.content == f"Hi\n{call}"
    assert [name for name, *_ in message.calls] == ["get_time", "get_weather"]


def test_control_tokens_are_never_content() -> None:
    """Names of control tokens that begin no call are left out; the same characters as text are kept."""
    message = parse("mistral", f"a{CONTROL}[ARGS]b {CONTROL}[TOOL_CALLS]rm[ARGS] [TOOL_CALLS]")
    assert message == ParsedMessage("ab rm[ARGS] [TOOL_CALLS]", "", ())


def test_marks_in_strings_are_text() -> None:
    """Marks inside string arguments end nothing."""
    city = '</tool_call> }} <tool_call> \\\\ \\" x'
    message = parse(
        "hermes", f'<tool_call>\n{{"name": "get_weather", "arguments": {{"city": "{city}"}}}}\n</tool_call>'
    )
    assert message.calls == (("get_weather", f'{{"city": "{city}"}}', True),)
    city = "</function>\n</tool_call> <parameter=a>"
    message = parse("qwen3-coder", CORPUS["qwen3-coder"].simple.replace("Rome", city))
    assert json.loads(message.calls[0][1]) == {"city": city}


def test_an_ended_answer_completes_its_call() -> None:
    """A call that lacks only end marks is complete if the model ended the answer, and partial if a limit did."""
    cases = {
        "hermes": '<tool_call>\n{"name": "get_time", "argum',
        "qwen3-coder": CORPUS["qwen3-coder"].simple.removesuffix("</function>\n</tool_call>"),
        "llama4": "[get_weather(city='Rome'",
    }
    for family, text in cases.items():
        [(_, arguments, is_complete)] = parse(family, text).calls
        assert json.loads(arguments) in ({}, {"city": "Rome"})
        assert is_complete
        [(_, arguments, is_complete)] = parse(family, text, is_complete=False).calls
        assert not is_complete


@pytest.mark.parametrize("family", ["hermes", "qwen3-coder", "llama4", "gemma4"])
def test_custom_tools_get_text(family: str) -> None:
    """A custom tool's input is the text itself, without JSON around it."""
    source = 'print("é😀")\n\t# \\d'
    written = {
        "hermes": f'<tool_call>\n{{"name": "run", "arguments": {{"input": {json.dumps(source)}}}}}\n</tool_call>',
        "qwen3-coder": CORPUS["qwen3-coder"].simple.replace("get_weather", "run").replace("city", "input"),
        "llama4": f"[run(input={source!r})]",
        "gemma4": f'<|tool_call>call:run{{input:<|"|>{source}<|"|>}}<tool_call|>',
    }
    tools = {"run": Tool("run", is_custom=True)}
    text = generated(family, written[family].replace("Rome", source))
    assert join(parse_segments(family, [text], tools=tools)).calls == (("run", source, True),)
    assert join(parse_segments(family, text, tools=tools)).calls == (("run", source, True),)


def test_values_have_the_types_of_the_schema() -> None:
    """Tagged values become strings, numbers or JSON as the schema says, also through unions and references."""
    properties = {
        "text": {"type": "string"},
        "count": {"type": "integer"},
        "either": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "list": {"$ref": "#/$defs/list"},
        "any": {},
    }
    schema = {"type": "object", "properties": properties, "$defs": {"list": {"type": ["array", "null"]}}}
    tools = {"f": Tool("f", parameters=json.dumps(schema))}
    values = [
        ("text", "5"),
        ("count", "5"),
        ("either", "null"),
        ("either", "5"),
        ("list", '[{"a": "1"}]'),
        ("any", "5"),
    ]
    values += [("any", "[1"), ("any", '"q"'), ("count", "NaN"), ("text", "")]
    for (name, value), meant in zip(values, ["5", 5, None, "5", [{"a": "1"}], 5, "[1", '"q"', "NaN", ""], strict=True):
        text = f"<tool_call>\n<function=f>\n<parameter={name}>\n{value}\n</parameter>\n</function>\n</tool_call>"
        [(_, arguments, _)] = join(parse_segments("qwen3-coder", [text], tools=tools)).calls
        assert json.loads(arguments) == {name: meant}


def test_keys_may_have_signs() -> None:
    """Keys without quotes are read with the spaces and signs that they have."""
    for family, text in (
        ("gemma4", '<|tool_call>call:get_time{a b:1,c.d-e:{x y:[2],"z":true}}<tool_call|>'),
        ("llama4", '[get_time(a b=1, c.d-e={"x y": [2], \'"z"\': True})]'),
    ):
        [(_, arguments, _)] = parse(family, generated(family, text)).calls
        assert json.loads(arguments) == {"a b": 1, "c.d-e": {"x y": [2], '"z"': True}}


def test_arguments_are_what_the_model_wrote() -> None:
    """JSON arguments are returned as they are written, with their spaces and escapes."""
    written = '{ "city":"\\u00e9\\/" ,"n": 1.50}'
    [(_, arguments, _)] = parse("mistral", generated("mistral", f"[TOOL_CALLS]get_weather[ARGS]{written}")).calls
    assert arguments == written


def test_long_answers_cost_linear_time() -> None:
    """A hundred thousand characters and more, one at a time and at once, are read in seconds."""
    text = "Words, <b>tags</b> and {braces}.\n\n" * 5_000
    call = CORPUS["hermes"].simple.replace("Rome", text.replace("\n", ""))
    began = time.process_time()
    assert parse("hermes", *text).content == text
    assert parse("hermes", *(CORPUS["hermes"].simple + "\n") * 1000).content == ""
    assert len(parse("hermes", (CORPUS["hermes"].simple + "\n") * 1000).calls) == 1000
    assert parse("hermes", *call).calls[0][2]
    assert parse("hermes", *("\n" * 50_000)).content == "\n" * 50_000
    assert time.process_time() - began < 5


MARKS = sorted(
    {mark for family in CORPUS for mark in CORPUS[family].controls} | {"\n", '"', "{", "}", "(", ")", ",", "="}
)


def test_no_output_raises() -> None:
    """10,000 mutated and random outputs of all families are read without an error, and as one and in pieces alike."""
    draw = random.Random(16)
    for _ in range(10_000):
        family, answer = draw.choice(CASES)
        text = generated(family, answer.text)
        for _ in range(draw.randint(1, 3)):
            at, end = sorted((draw.randrange(len(text) + 1), draw.randrange(len(text) + 1)))
            inserted = draw.choice(
                ["", draw.choice(MARKS), CONTROL, generated(family, draw.choice(MARKS)), text[at:end]]
            )
            text = (text[:at] + inserted + text[draw.choice([at, end]) :])[:2000]
        is_complete = draw.random() < 0.5
        at = draw.randrange(len(text) + 1)
        message = parse(family, text, is_complete=is_complete)
        assert CONTROL not in str(message)
        assert parse(family, text[:at], text[at:], is_complete=is_complete) == message


PARTS = [
    "<tool_call>",
    "\n",
    '{"name": "get_time',
    '", "arguments": ',
    "{}",
    "}",
    "</tool_call>",
    "```json\n",
    "```",
    "x",
]


@given(st.lists(st.sampled_from(PARTS)))
def test_any_mixture_is_read_alike(parts: list[str]) -> None:
    """Marks in any order give the same message in pieces and as a whole."""
    text = "".join(parts)
    assert parse("hermes", *parts) == parse("hermes", text) == parse("hermes", *text)


@pytest.mark.parametrize("size", range(1, 20))
def test_an_answer_that_must_be_a_call_has_no_content(size: int) -> None:
    """The beginning of a cut mark is no content if the answer must be a call; it never says that content may follow."""
    parser = AnswerParser(FORMATS["hermes"], TOOLS, controls=(), starts_in_reasoning=False, must_call=True)
    text = '<tool_call>\n{"name": "'[:size]
    assert not parser.in_content
    assert [*parser.feed(text), *parser.close(is_complete=False)] == []


def test_no_content_follows_the_first_part_of_a_calls_mark() -> None:
    """Between the tag that begins a call and its name there is no content, in which stop strings count."""
    parser = AnswerParser(FORMATS["hermes"], TOOLS, controls=(), starts_in_reasoning=False)
    parser.feed("I look. <tool")
    assert parser.in_content
    parser.feed("_call>\n")
    assert not parser.in_content
    parser.feed("no call, ")
    assert parser.in_content
