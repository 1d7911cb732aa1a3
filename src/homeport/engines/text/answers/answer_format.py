"""How a model family writes its answers: reasoning, content and tool calls. Values only.

A description consists of marks: the literal texts between a call's variable parts. A grammar and a parser are made from
the same description (`answer_grammar`, `answer_parser`). A mark may contain names of control tokens, as the model's
template writes them. Knows nothing of templates, tokens or grammars.
"""

import msgspec

CALL_INDEX = "\ufdd1"
"""In a mark: the call's number in its answer, from 0, in decimal digits."""
CALL_ID = "\ufdd2"
"""In a mark: an id of letters and digits that the model makes up; it is not returned to the caller."""
SPACE = "\ufdd3"
"""In a mark: at most 8 characters of white space, or none."""


class ReasoningFormat(msgspec.Struct, frozen=True):
    """The marks around reasoning, which precedes content and calls."""

    begin: str
    end: str


class ContentFormat(msgspec.Struct, frozen=True):
    """The marks around content. Empty marks: everything that is nothing else is content."""

    begin: str = ""
    end: str = ""


class JsonArguments(msgspec.Struct, frozen=True, tag="json"):
    """The arguments are one JSON object."""


class TaggedArguments(msgspec.Struct, frozen=True, tag="tagged"):
    """Every argument is written as `begin` key `key_end` value `end`, with `separator` between two of them.

    Values are JSON, but strings are written without quotes or escapes. With a `string_mark`, every string, also inside
    arrays and objects, is written between two of them, and the keys of objects without quotes.
    """

    begin: str
    key_end: str
    end: str
    separator: str = ""
    string_mark: str = ""


class PythonArguments(msgspec.Struct, frozen=True, tag="python"):
    """The arguments are keyword arguments of a Python call: `key=value, key=value`, the values Python literals."""


ArgumentsFormat = JsonArguments | TaggedArguments | PythonArguments


class CallFormat(msgspec.Struct, frozen=True):
    """How calls are written: `section_begin`, calls with `separator` between them, `section_end`.

    One call: `begin` name `name_end` arguments `end`. `is_whole_answer`: calls have no mark that begins them, so they
    are recognized only at the beginning of an answer. `optional_begin`: a mark that may precede `section_begin`.
    `is_single`: an answer has at most one call, because a control token of its own ends the answer after it.
    `unmarked`: how models write calls that lack their marks; such calls are recognized if an answer begins with them.
    """

    begin: str
    name_end: str
    end: str
    arguments: ArgumentsFormat = JsonArguments()
    section_begin: str = ""
    section_end: str = ""
    separator: str = ""
    is_whole_answer: bool = False
    optional_begin: str = ""
    is_single: bool = False
    unmarked: tuple["CallFormat", ...] = ()


class AnswerFormat(msgspec.Struct, frozen=True):
    """A model family's answers. `calls` None: it cannot call tools; `reasoning` None: it does not reason.

    `contents`: the kinds of content; the first one is used where an answer must have content.
    """

    family: str
    reasoning: ReasoningFormat | None = None
    contents: tuple[ContentFormat, ...] = (ContentFormat(),)
    calls: CallFormat | None = None


def without_unmarked(format: AnswerFormat) -> AnswerFormat:
    """Return a format in which calls have all their marks."""
    if format.calls is None or not format.calls.unmarked:
        return format
    return msgspec.structs.replace(format, calls=msgspec.structs.replace(format.calls, unmarked=()))


def _unmarked(section_begin: str, section_end: str, begin: str = "{", end: str = "}") -> CallFormat:
    """Return calls that are JSON objects, in any layout, between other texts than a family's marks."""
    return CallFormat(
        begin=f'{begin}{SPACE}"name":{SPACE}"',
        name_end=f'",{SPACE}"arguments":',
        end=f"{SPACE}{end}",
        section_begin=section_begin,
        section_end=section_end,
        separator=SPACE,
        is_whole_answer=True,
    )


UNMARKED_JSON_CALLS = (
    _unmarked("", ""),
    _unmarked("```json\n", "\n```"),
    _unmarked("```\n", "\n```"),
    _unmarked("", "", "{{", "}}"),  # as the template of Qwen2.5-Coder asks for
)
"""What models write without the marks that their prompt asks for: JSON objects, alone or in a fence."""
GENERIC_CALLS = CallFormat(
    begin='<tool_call>\n{"name": "',
    name_end='", "arguments": ',
    end="}\n</tool_call>",
    separator="\n",
    unmarked=UNMARKED_JSON_CALLS,
)
"""The protocol for models whose template has no tools: their prompt says to write calls like this."""
