"""Answer formats are derived from real templates as their models' documentation describes them."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from homeport.engines.text.answers.answer_format import (
    CALL_ID,
    CALL_INDEX,
    UNMARKED_JSON_CALLS,
    AnswerFormat,
    CallFormat,
    ContentFormat,
    PythonArguments,
    ReasoningFormat,
    TaggedArguments,
)
from homeport.engines.text.templates.model_families import GENERIC, HARMONY, VERIFIED
from homeport.engines.text.templates.probe import Sample, TemplateProbe
from homeport.engines.text.templates.sandbox import SandboxedTemplate
from homeport.engines.text.templates.support import derive_format
from homeport.engines.text.templates.turns import PromptTurn, TurnCall, apply_style
from tests.engines.text import families, real_templates

THINK = ReasoningFormat("<think>", "</think>")
HERMES = CallFormat(
    '<tool_call>\n{"name": "',
    '", "arguments": ',
    "}\n</tool_call>",
    separator="\n",
    unmarked=UNMARKED_JSON_CALLS,
)
TAGGED = CallFormat(
    "<tool_call>\n<function=",
    ">\n",
    "</function>\n</tool_call>",
    TaggedArguments("<parameter=", ">\n", "\n</parameter>\n"),
    separator="\n",
)


def answers(family: str, calls: CallFormat, reasoning: ReasoningFormat | None = None) -> AnswerFormat:
    return AnswerFormat(family, reasoning, (ContentFormat(),), calls)


EXPECTED: dict[str, AnswerFormat | None] = {
    "deepseek-r1-distill": None,
    "deepseek-v3.1": None,
    "functionary-3.1": answers("functionary", CallFormat("<function=", ">", "</function>")),
    "gemma-4": answers(
        "gemma4",
        CallFormat(
            "<|tool_call>call:",
            "{",
            "}<tool_call|>",
            TaggedArguments("", ":", "", ",", '<|"|>'),
        ),
        ReasoningFormat("<|channel>thought", "<channel|>"),
    ),
    "glm-4.6": answers(
        "glm",
        CallFormat(
            "<tool_call>",
            "\n",
            "</tool_call>",
            TaggedArguments("<arg_key>", "</arg_key>\n<arg_value>", "</arg_value>\n"),
            separator="\n",
        ),
        THINK,
    ),
    "gpt-oss": HARMONY,
    "granite-3.3": None,
    "granite-4.0": answers("granite", HERMES),
    "kimi-k2": answers(
        "kimi",
        CallFormat(
            "<|tool_call_begin|>functions.",
            f":{CALL_INDEX}<|tool_call_argument_begin|>",
            "<|tool_call_end|>",
            section_begin="<|tool_calls_section_begin|>",
            section_end="<|tool_calls_section_end|>",
        ),
    ),
    "minimax-m2": answers(
        "minimax",
        CallFormat(
            '<invoke name="',
            '">\n',
            "</invoke>\n",
            TaggedArguments('<parameter name="', '">', "</parameter>\n"),
            section_begin="<minimax:tool_call>\n",
            section_end="</minimax:tool_call>",
        ),
        THINK,
    ),
    "ministral-3-reasoning": answers(
        "mistral", CallFormat("[TOOL_CALLS]", "[ARGS]", ""), ReasoningFormat("[THINK]", "[/THINK]")
    ),
    "mistral-nemo": answers(
        "mistral",
        CallFormat(
            '{"name": "',
            '", "arguments": ',
            f', "id": "{CALL_ID}"}}',
            section_begin="[TOOL_CALLS][",
            section_end="]",
            separator=", ",
        ),
    ),
    "mistral-small-3.2": answers("mistral", CallFormat("[TOOL_CALLS]", f"[CALL_ID]{CALL_ID}[ARGS]", "")),
    "qwen2.5": answers("qwen", HERMES),
    "qwen3": answers("qwen", HERMES, THINK),
    "qwen3-coder": answers("qwen3-coder", TAGGED),
    "qwen3.5": answers("qwen3-coder", TAGGED, THINK),
    "seed-oss": answers(
        "seed",
        CallFormat(
            "<seed:tool_call>\n<function=",
            ">\n",
            "</function>\n</seed:tool_call>",
            TaggedArguments("<parameter=", ">", "</parameter>\n"),
            separator="\n",
        ),
        ReasoningFormat("<seed:think>", "</seed:think>"),
    ),
    "smollm2": None,
    "smollm3": None,
}


@pytest.mark.parametrize("name", real_templates.NAMES)
def test_the_format_of_a_real_template(name: str) -> None:
    """The format derived from a template is the one that its model is documented to write; None without tools."""
    found = derive_format(real_templates.probe(name), real_templates.read(name))
    assert found == EXPECTED[name]


def test_the_templates_are_those_of_the_manifest() -> None:
    """Each template has the recorded hash, a licence and a source, and no other file is there."""
    for each in real_templates.MANIFEST:
        data = (real_templates.FOLDER / each["file"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == each["sha256"]
        assert each["licence"] in ("Apache-2.0", "MIT", "Modified MIT")
        assert each["source"]
    assert {path.stem for path in real_templates.FOLDER.glob("*.jinja")} == set(real_templates.NAMES)


def test_verified_families_have_a_real_template() -> None:
    """A family counts as verified exactly if a template of it is tested."""
    assert {each.family for each in EXPECTED.values() if each} | {GENERIC} == VERIFIED


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            families.JSON_ANSWERS,
            answers(
                "llama3",
                CallFormat(
                    '{"name": "',
                    '", "parameters": ',
                    "}",
                    is_whole_answer=True,
                    optional_begin="<|python_tag|>",
                    is_single=True,
                ),
            ),
        ),
        (
            families.PYTHONIC,
            answers(
                "pythonic",
                CallFormat(
                    "",
                    "(",
                    ")",
                    PythonArguments(),
                    section_begin="[",
                    section_end="]",
                    separator=", ",
                    is_whole_answer=True,
                ),
            ),
        ),
        (
            "{% if tools %}{{ tools | tojson }}{% endif %}" + real_templates.read("deepseek-v3.1"),
            answers(
                "deepseek",
                CallFormat(
                    "<｜tool▁call▁begin｜>",
                    "<｜tool▁sep｜>",
                    "<｜tool▁call▁end｜>",
                    section_begin="<｜tool▁calls▁begin｜>",
                    section_end="<｜tool▁calls▁end｜>",
                ),
                THINK,
            ),
        ),
        (families.MARKED, answers("phi", CallFormat('<|tool_call|>{"name": "', '", "arguments": ', "}<|/tool_call|>"))),
        (families.SENTENCES, None),
    ],
)
def test_the_format_of_a_templates_style(source: str, expected: AnswerFormat | None) -> None:
    """Calls without a mark are the whole answer; a format that cannot be described is none."""
    assert derive_format(TemplateProbe(SandboxedTemplate(source), real_templates.VARIABLES), source) == expected


def written(calls: CallFormat, values: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """Return a pattern of the text of calls."""
    texts = []
    for at, (name, arguments) in enumerate(values):
        text = json.dumps(arguments, ensure_ascii=False)
        if isinstance(calls.arguments, TaggedArguments):
            tags = calls.arguments
            text = tags.separator.join(
                tags.begin
                + key
                + tags.key_end
                + (f"{tags.string_mark}{value}{tags.string_mark}" if isinstance(value, str) else json.dumps(value))
                + tags.end
                for key, value in arguments.items()
            )
        texts.append(f"{calls.begin}{name}{calls.name_end}{text}{calls.end}".replace(CALL_INDEX, str(at)))
    whole = calls.section_begin + calls.separator.join(texts) + calls.section_end
    return re.escape(whole).replace(CALL_ID, "[a-z0-9]{9}")


@pytest.mark.parametrize("name", [name for name, format in EXPECTED.items() if format not in (None, HARMONY)])
@pytest.mark.parametrize("arguments", [{}, {"city": "Paris 你好"}, {"city": "x", "days": 3, "ratio": 0.5}])
def test_a_format_writes_what_the_template_writes(name: str, arguments: Mapping[str, Any]) -> None:
    """Calls written in the derived format are found in the template's rendering of the same calls, also without any."""
    probe = real_templates.probe(name)
    style = probe.find_traits(has_parts=False).style
    format = EXPECTED[name]
    assert format is not None
    assert format.calls is not None
    calls = tuple(TurnCall(f"idnumber{at}", call, dict(arguments)) for at, call in enumerate(("first", "second")))
    turns = (PromptTurn("user", "hi"), PromptTurn("assistant", "", calls=calls))
    results = tuple(PromptTurn("tool", "x", call_id=call.id, call_name=call.name) for call in calls)
    (text,) = probe.render([Sample(tuple(apply_style([*turns, *results], style)), style)])
    assert text is not None
    assert re.search(written(format.calls, [(call.name, call.arguments) for call in calls]), text)
