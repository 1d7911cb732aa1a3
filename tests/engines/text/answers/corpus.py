"""Answers of each family, written by hand in its documented format, and what they mean."""

import json
from typing import Any, NamedTuple

from homeport.domain.tools import Tool
from homeport.engines.text.answers.answer_format import AnswerFormat
from homeport.engines.text.answers.marks import CONTROL
from tests.engines.text.answers.families import FAMILIES

WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "days": {"type": "array", "items": {"$ref": "#/$defs/day"}},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
    },
    "required": ["city"],
    "additionalProperties": False,
    "$defs": {
        "day": {
            "type": "object",
            "properties": {"number": {"type": "integer"}, "is_late": {"type": "boolean"}, "name": {"type": "string"}},
            "required": ["number"],
            "additionalProperties": False,
        }
    },
}
TOOLS = {
    "get_weather": Tool("get_weather", parameters=json.dumps(WEATHER), is_strict=True, param="tools[0].function"),
    "get_time": Tool("get_time", param="tools[1].function"),
}
CITY = 'Zürich "北京"\nand <b>'
NESTED: dict[str, Any] = {
    "city": CITY,
    "days": [{"number": 1, "is_late": True, "name": "a, b}"}, {"number": -2}],
    "unit": "celsius",
}
SIMPLE: dict[str, Any] = {"city": "Rome"}


class Call(NamedTuple):
    """A call as it is returned."""

    name: str
    arguments: dict[str, Any]


class Answer(NamedTuple):
    """A whole answer as the model writes it, and what it means. `is_marked`: its calls have their marks."""

    name: str
    text: str
    content: str = ""
    reasoning: str = ""
    calls: tuple[Call, ...] = ()
    is_marked: bool = True


class Family(NamedTuple):
    """A family's calls as it writes them: with nested arguments, a short one, one without, and the last two together.

    `content`: what precedes content that precedes a call, and what follows it; None: no content can precede one.
    `last`: what precedes content at the end. `thought`: reasoning, as written; its text is `Let me see.`. `others`:
    what else its models write, other than the format says.
    """

    controls: tuple[str, ...]
    nested: str
    simple: str
    bare: str
    two: str
    content: tuple[str, str] | None = ("", "\n")
    last: str = ""
    thought: str = ""
    is_single: bool = False
    may_follow: bool = True
    others: tuple[Answer, ...] = ()

    def answers(self) -> list[Answer]:
        """Return the family's answers."""
        text = "It's <5 °C> [1] {2}; a\n\nb"
        nested, simple = Call("get_weather", NESTED), Call("get_weather", SIMPLE)
        bare = Call("get_time", {})
        found = [
            Answer("prose", self.last + text, content=text),
            Answer("nested", self.nested, calls=(nested,)),
            Answer("simple", self.simple, calls=(simple,)),
            Answer("no arguments", self.bare, calls=(bare,)),
        ]
        if not self.is_single:
            found.append(Answer("two calls", self.two, calls=(simple, bare)))
        if self.content is not None:
            before = self.content[0] + text + self.content[1]
            found.append(Answer("prose before", before + self.nested, content=text, calls=(nested,)))
        if self.may_follow and self.content is not None:
            found.append(Answer("prose after", self.simple + "\n\n" + text, content=text, calls=(simple,)))
        if self.thought:
            reasoning = "Let me see."
            found.append(Answer("thought, call", self.thought + self.nested, reasoning=reasoning, calls=(nested,)))
            found.append(Answer("thought, prose", self.thought + self.last + text, content=text, reasoning=reasoning))
        return [*found, *self.others]


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _hermes(arguments: object, name: str = "get_weather") -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {_dumps(arguments)}}}\n</tool_call>'


def _item(arguments: object, name: str = "get_weather") -> str:
    return f'{{"name": "{name}", "arguments": {_dumps(arguments)}}}'


_THINK = "<think>\nLet me see.\n</think>\n\n"


def _unmarked(name: str, text: str, *calls: Call) -> Answer:
    return Answer(f"unmarked {name}", text, calls=calls, is_marked=False)


def _indented(arguments: object, name: str = "get_weather") -> str:
    return json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False, indent=2)


def _free(name: str, text: str) -> Answer:
    return Answer(f"content {name}", text, content=text)


_NESTED_CALL, _SIMPLE_CALL, _BARE_CALL = (
    Call("get_weather", NESTED),
    Call("get_weather", SIMPLE),
    Call("get_time", {}),
)
_UNMARKED = (
    _unmarked("alone", _item(NESTED), _NESTED_CALL),
    _unmarked("without arguments", _item({}, "get_time"), _BARE_CALL),
    _unmarked("after white space", f" \n{_item(SIMPLE)}", _SIMPLE_CALL),
    _unmarked("indented", _indented(SIMPLE), _SIMPLE_CALL),
    _unmarked("without spaces", '{"name":"get_weather","arguments":{"city":"Rome"}}', _SIMPLE_CALL),
    _unmarked("in a fence", f"```json\n{_item(NESTED)}\n```", _NESTED_CALL),
    _unmarked("in a fence without language", f"```\n{_item(SIMPLE)}\n```", _SIMPLE_CALL),
    _unmarked("indented in a fence", f"```json\n{_indented(SIMPLE)}\n```", _SIMPLE_CALL),
    _unmarked("two", f"{_item(SIMPLE)}\n{_item({}, 'get_time')}", _SIMPLE_CALL, _BARE_CALL),
    _unmarked(
        "two in a fence", f"```json\n{_indented(SIMPLE)}\n{_item({}, 'get_time')}\n```", _SIMPLE_CALL, _BARE_CALL
    ),
    _unmarked("in two braces", f"{{{_item(SIMPLE)}}}", _SIMPLE_CALL),
    _free("with an unknown tool", _item(SIMPLE, "get_wind")),
    _free("with a longer name", f"```json\n{_indented(SIMPLE, 'get_weather_now')}\n```"),
    _free("with another object", '{"name": "John"}'),
    _free("with another type", '{"name": 1}'),
    _free("with another key", '{"name": "get_weather", "size": 1}'),
    _free("with a cut name", '{"name": "get_weather'),
    _free("with a brace", "{"),
    _free("with a fence", "```"),
    _free("with a fenced object", '```json\n{\n  "name": "John"\n}\n```'),
    _free("with code", "```python\ncode\n```"),
    _free("with a later call", f"So:\n{_item(SIMPLE)}"),
    Answer(
        "content in a fence, marked call",
        f"```json\n{{}}\n```\n{_hermes(SIMPLE)}",
        content="```json\n{}\n```",
        calls=(_SIMPLE_CALL,),
    ),
)
_HERMES = Family(
    (),
    _hermes(NESTED),
    _hermes(SIMPLE),
    _hermes({}, "get_time"),
    f"{_hermes(SIMPLE)}\n{_hermes({}, 'get_time')}",
    others=_UNMARKED,
)
_QWEN_TOKENS = ("<think>", "</think>", "<tool_call>", "</tool_call>")
_MISTRAL = Family(
    ("[TOOL_CALLS]", "[ARGS]"),
    f"[TOOL_CALLS]get_weather[ARGS]{_dumps(NESTED)}",
    f"[TOOL_CALLS]get_weather[ARGS]{_dumps(SIMPLE)}",
    "[TOOL_CALLS]get_time[ARGS]{}",
    f"[TOOL_CALLS]get_weather[ARGS]{_dumps(SIMPLE)}[TOOL_CALLS]get_time[ARGS]{{}}",
)
_QWEN_NESTED = f"""<tool_call>
<function=get_weather>
<parameter=city>
{CITY}
</parameter>
<parameter=days>
{_dumps(NESTED["days"])}
</parameter>
<parameter=unit>
celsius
</parameter>
</function>
</tool_call>"""
_QWEN_SIMPLE = """<tool_call>
<function=get_weather>
<parameter=city>
Rome
</parameter>
</function>
</tool_call>"""
_QWEN_BARE = "<tool_call>\n<function=get_time>\n</function>\n</tool_call>"
_GLM_NESTED = f"""<tool_call>get_weather
<arg_key>city</arg_key>
<arg_value>{CITY}</arg_value>
<arg_key>days</arg_key>
<arg_value>{_dumps(NESTED["days"])}</arg_value>
<arg_key>unit</arg_key>
<arg_value>celsius</arg_value>
</tool_call>"""
_GLM_SIMPLE = "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Rome</arg_value>\n</tool_call>"
_GLM_BARE = "<tool_call>get_time\n</tool_call>"
_MINIMAX_INVOKE = '<invoke name="get_weather">\n<parameter name="city">Rome</parameter>\n</invoke>\n'
_MINIMAX_NESTED = f"""<minimax:tool_call>
<invoke name="get_weather">
<parameter name="city">{CITY}</parameter>
<parameter name="days">{_dumps(NESTED["days"])}</parameter>
<parameter name="unit">celsius</parameter>
</invoke>
</minimax:tool_call>"""
_MINIMAX_BARE = '<invoke name="get_time">\n</invoke>\n'


def _deepseek(arguments: object, name: str = "get_weather") -> str:
    return f"<｜tool▁call▁begin｜>function<｜tool▁sep｜>{name}\n```json\n{_dumps(arguments)}\n```<｜tool▁call▁end｜>"


def _deepseek31(arguments: object, name: str = "get_weather") -> str:
    return f"<｜tool▁call▁begin｜>{name}<｜tool▁sep｜>{_dumps(arguments)}<｜tool▁call▁end｜>"


def _kimi(index: int, arguments: object, name: str = "get_weather") -> str:
    return (
        f"<|tool_call_begin|>functions.{name}:{index}<|tool_call_argument_begin|>{_dumps(arguments)}<|tool_call_end|>"
    )


def _deepseek_section(calls: str) -> str:
    return f"<｜tool▁calls▁begin｜>{calls}<｜tool▁calls▁end｜>"


def _kimi_section(calls: str) -> str:
    return f"<|tool_calls_section_begin|>{calls}<|tool_calls_section_end|>"


def _minimax_section(calls: str) -> str:
    return f"<minimax:tool_call>\n{calls}</minimax:tool_call>"


_DEEPSEEK_TOKENS = tuple(f"<｜tool▁{name}｜>" for name in ("calls▁begin", "calls▁end", "call▁begin", "call▁end", "sep"))
_DEEPSEEK = Family(
    _DEEPSEEK_TOKENS,
    _deepseek_section(_deepseek(NESTED)),
    _deepseek_section(_deepseek(SIMPLE)),
    _deepseek_section(_deepseek({}, "get_time")),
    _deepseek_section(f"{_deepseek(SIMPLE)}\n{_deepseek({}, 'get_time')}"),
)
_GEMMA_NESTED = (
    f'<|tool_call>call:get_weather{{city:<|"|>{CITY}<|"|>,days:[{{number:1,is_late:true,name:<|"|>a, b}}<|"|>}},'
    '{number:-2}],unit:<|"|>celsius<|"|>}<tool_call|>'
)
_GEMMA_SIMPLE = '<|tool_call>call:get_weather{city:<|"|>Rome<|"|>}<tool_call|>'
_GEMMA_BARE = "<|tool_call>call:get_time{}<tool_call|>"
_PYTHON_NESTED = (
    """get_weather(city="Zürich \\"北京\\"\\nand <b>", days=[{"number": 1, "is_late": True, "name": 'a, b}'}, """
    """{"number": -2}], unit="celsius")"""
)


def _harmony(arguments: object, name: str = "get_weather") -> str:
    return f"<|channel|>commentary to=functions.{name} <|constrain|>json<|message|>{_dumps(arguments)}"


def _llama(arguments: object, name: str = "get_weather") -> str:
    return f'{{"name": "{name}", "parameters": {_dumps(arguments)}}}'


CORPUS = {
    "generic": _HERMES,
    "hermes": _HERMES,
    "qwen3": _HERMES._replace(
        controls=_QWEN_TOKENS,
        thought=_THINK,
        others=(
            *_UNMARKED,
            Answer("thought, unmarked", _THINK + _item(SIMPLE), "", "Let me see.", (_SIMPLE_CALL,), is_marked=False),
        ),
    ),
    "llama3": Family(
        ("<|python_tag|>",),
        _llama(NESTED),
        f"<|python_tag|>{_llama(SIMPLE)}",
        _llama({}, "get_time"),
        "",
        content=None,
        is_single=True,
    ),
    "llama4": Family(
        (),
        f"[{_PYTHON_NESTED}]",
        "[get_weather(city='Rome')]",
        "[get_time()]",
        '[get_weather(city="Rome"), get_time()]',
        content=None,
    ),
    "mistral": _MISTRAL,
    "magistral": _MISTRAL._replace(
        controls=("[TOOL_CALLS]", "[ARGS]", "[THINK]", "[/THINK]"), thought="[THINK]Let me see.[/THINK]"
    ),
    "mistral-list": Family(
        ("[TOOL_CALLS]",),
        f"[TOOL_CALLS][{_item(NESTED)}]",
        f"[TOOL_CALLS][{_item(SIMPLE)}]",
        f"[TOOL_CALLS][{_item({}, 'get_time')}]",
        f"[TOOL_CALLS][{_item(SIMPLE)}, {_item({}, 'get_time')}]",
    ),
    "qwen3-coder": Family((), _QWEN_NESTED, _QWEN_SIMPLE, _QWEN_BARE, f"{_QWEN_SIMPLE}\n{_QWEN_BARE}"),
    "harmony": Family(
        ("<|channel|>", "<|message|>", "<|end|>", "<|start|>", "<|constrain|>"),
        _harmony(NESTED),
        _harmony(SIMPLE),
        _harmony({}, "get_time"),
        "",
        content=("<|channel|>commentary<|message|>", "<|end|><|start|>assistant"),
        last="<|channel|>final<|message|>",
        thought="<|channel|>analysis<|message|>Let me see.<|end|><|start|>assistant",
        is_single=True,
        may_follow=False,
    ),
    "phi-4-mini": Family(
        ("<|tool_call|>", "<|/tool_call|>"),
        f"<|tool_call|>{_item(NESTED)}<|/tool_call|>",
        f"<|tool_call|>{_item(SIMPLE)}<|/tool_call|>",
        f"<|tool_call|>{_item({}, 'get_time')}<|/tool_call|>",
        f"<|tool_call|>{_item(SIMPLE)}<|/tool_call|><|tool_call|>{_item({}, 'get_time')}<|/tool_call|>",
    ),
    "granite": Family(
        ("<|tool_call|>",),
        f"<|tool_call|>[{_item(NESTED)}]",
        f"<|tool_call|>[{_item(SIMPLE)}]",
        f"<|tool_call|>[{_item({}, 'get_time')}]",
        f"<|tool_call|>[{_item(SIMPLE)}, {_item({}, 'get_time')}]",
    ),
    "deepseek-r1": _DEEPSEEK._replace(controls=(*_DEEPSEEK_TOKENS, "<think>", "</think>"), thought=_THINK),
    "deepseek-v3": _DEEPSEEK,
    "deepseek-v3.1": Family(
        _DEEPSEEK_TOKENS,
        _deepseek_section(_deepseek31(NESTED)),
        _deepseek_section(_deepseek31(SIMPLE)),
        _deepseek_section(_deepseek31({}, "get_time")),
        _deepseek_section(_deepseek31(SIMPLE) + _deepseek31({}, "get_time")),
        thought="<think>Let me see.</think>",
    ),
    "glm-4.5": Family(
        ("<tool_call>", "</tool_call>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"),
        _GLM_NESTED,
        _GLM_SIMPLE,
        _GLM_BARE,
        f"{_GLM_SIMPLE}\n{_GLM_BARE}",
        thought="\n<think>Let me see.</think>\n",
    ),
    "kimi-k2": Family(
        (
            "<|tool_calls_section_begin|>",
            "<|tool_calls_section_end|>",
            "<|tool_call_begin|>",
            "<|tool_call_end|>",
            "<|tool_call_argument_begin|>",
        ),
        _kimi_section(_kimi(0, NESTED)),
        _kimi_section(_kimi(0, SIMPLE)),
        _kimi_section(_kimi(12, {}, "get_time")),
        _kimi_section(_kimi(0, SIMPLE) + _kimi(1, {}, "get_time")),
    ),
    "minimax-m2": Family(
        (),
        _MINIMAX_NESTED,
        _minimax_section(_MINIMAX_INVOKE),
        _minimax_section(_MINIMAX_BARE),
        _minimax_section(_MINIMAX_INVOKE + _MINIMAX_BARE),
        thought=_THINK,
    ),
    "gemma4": Family(
        ("<|tool_call>", "<tool_call|>", '<|"|>', "<|channel>", "<channel|>"),
        _GEMMA_NESTED,
        _GEMMA_SIMPLE,
        _GEMMA_BARE,
        _GEMMA_SIMPLE + _GEMMA_BARE,
        thought="<|channel>thought\nLet me see.<channel|>",
    ),
    "functionary": Family(
        (),
        f"get_weather\n{_dumps(NESTED)}",
        f"get_weather\n{_dumps(SIMPLE)}",
        "get_time\n{}",
        f"get_weather\n{_dumps(SIMPLE)}>>>get_time\n{{}}",
        content=("all\n", "\n>>>"),
        last="all\n",
        may_follow=False,
    ),
}
"""The families by name. Control tokens are written by their names."""


def controls(family: str) -> dict[str, int]:
    """Return a family's control tokens, with the ids that they have in `ByteGrammar`."""
    return {name: 257 + index for index, name in enumerate(CORPUS[family].controls)}


def generated(family: str, text: str) -> str:
    """Return a text as it arrives at a parser, with CONTROL before control tokens."""
    for name in CORPUS[family].controls:
        text = text.replace(name, CONTROL + name)
    return text


CASES = [(family, answer) for family, entry in CORPUS.items() for answer in entry.answers()]
CASE_NAMES = [f"{family}: {answer.name}" for family, answer in CASES]
FORMATS: dict[str, AnswerFormat] = FAMILIES
