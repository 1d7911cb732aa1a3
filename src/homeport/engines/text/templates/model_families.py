"""Names model families by how they write tool calls, and holds what cannot be derived from a template.

Knows nothing of templates' rendering or of tokens.
"""

from msgspec.structs import replace

from homeport.engines.text.answers.answer_format import (
    GENERIC_CALLS,
    AnswerFormat,
    CallFormat,
    ContentFormat,
    JsonArguments,
    PythonArguments,
    ReasoningFormat,
)

GENERIC = "generic"
OTHER = "other"
VERIFIED = frozenset(
    {
        "functionary",
        "gemma4",
        GENERIC,
        "glm",
        "granite",
        "harmony",
        "kimi",
        "minimax",
        "mistral",
        "qwen",
        "qwen3-coder",
        "seed",
    }
)
"""Families of which the tests render a real template."""
HARMONY = AnswerFormat(
    "harmony",
    ReasoningFormat("<|channel|>analysis<|message|>", "<|end|><|start|>assistant"),
    (
        ContentFormat("<|channel|>final<|message|>"),
        ContentFormat("<|channel|>commentary<|message|>", "<|end|><|start|>assistant"),
    ),
    CallFormat("<|channel|>commentary to=functions.", " <|constrain|>json<|message|>", "", is_single=True),
)
"""The format of gpt-oss. Its template writes earlier calls in another order than the model, and no channel first."""
_BEGINNINGS = (
    ("<tool_call>\n<function=", "qwen3-coder"),
    ("<tool_call>\n{", "qwen"),
    ("<|tool_calls_section_begin|>", "kimi"),
    ("<｜tool▁calls▁begin｜>", "deepseek"),
    ("<minimax:tool_call>", "minimax"),
    ("<seed:tool_call>", "seed"),
    ("<|tool_call>call:", "gemma4"),
    ("[TOOL_CALLS]", "mistral"),
    ("<function=", "functionary"),
    ("<|tool_call|>[", "granite"),
    ("<|tool_call|>", "phi"),
    ('{"name": "', "llama3"),
)


def complete_format(calls: CallFormat | None, reasoning: ReasoningFormat | None, source: str) -> AnswerFormat | None:
    """Name a derived format and mend it. `source`: the template. Returns None if calls could not be derived."""
    if "<|channel|>" in source and "<|message|>" in source and "functions." in source:
        return HARMONY
    if calls is None:
        return None
    family = _name(calls, source)
    contents = (ContentFormat(),)
    if family == "llama3":
        calls = replace(calls, optional_begin="<|python_tag|>", is_single=True)
    if replace(calls, unmarked=GENERIC_CALLS.unmarked) == GENERIC_CALLS:
        calls = GENERIC_CALLS
    if family == "functionary" and calls.separator == ">>>":
        contents = (ContentFormat("all\n"),)  # the prompt ends with the mark that begins a message
    return AnswerFormat(family, reasoning, contents, calls)


def _name(calls: CallFormat, source: str) -> str:
    if isinstance(calls.arguments, PythonArguments):
        return "pythonic"
    if calls.separator == ">>>":
        return "functionary"
    marks = calls.section_begin + calls.begin
    name = next((name for begin, name in _BEGINNINGS if marks.startswith(begin)), "")
    if name == "qwen" and "<|start_of_role|>" in source:
        return "granite"
    if not name and not isinstance(calls.arguments, JsonArguments) and "<arg_key>" in source:
        return "glm"
    return name or OTHER
