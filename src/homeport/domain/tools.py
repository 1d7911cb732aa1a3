"""The tools that a model may call, which of them it must call, and the format that an answer must have. Values only.

Knows nothing of JSON field names, of how models write calls, or of grammars' compilation.
"""

from typing import Literal

import msgspec

GrammarSyntax = Literal["lark", "regex"]


class GrammarFormat(msgspec.Struct, frozen=True, tag="grammar"):
    """Text of a formal language. `param` names the field that holds `definition` in errors."""

    syntax: GrammarSyntax
    definition: str
    param: str = "grammar"


class JsonFormat(msgspec.Struct, frozen=True, tag="json"):
    """A JSON object; with `schema` (JSON text), a value that this JSON Schema describes.

    `param` names the field that holds the schema in errors.
    """

    schema: str | None = None
    param: str = "response_format"


OutputFormat = GrammarFormat | JsonFormat
"""What an answer's text must be. It applies to the content: not to reasoning, and not to tool calls."""


class Tool(msgspec.Struct, frozen=True):
    """A tool of the caller. `param` names it in errors, e.g. `tools[0].function`.

    `parameters`: the JSON Schema of its arguments as JSON text; None: it has none. `is_strict`: calls must match the
    schema, so it must compile; otherwise they match as much of it as compiles. `is_custom`: it takes text in place of
    arguments, of any form or of that of `input`.
    """

    name: str
    description: str = ""
    parameters: str | None = None
    is_strict: bool = False
    is_custom: bool = False
    input: GrammarFormat | None = None
    param: str = "tools"


class ToolChoice(msgspec.Struct, frozen=True):
    """Which tools a model may or must call.

    `auto`: as it likes; `none`: none; `required`: at least one; `named`: the only one in `names`. `names`: the allowed
    tools; empty: all.
    """

    mode: Literal["auto", "none", "required", "named"] = "auto"
    names: tuple[str, ...] = ()


class ToolUse(msgspec.Struct, frozen=True):
    """The tools of a conversation and their use. `is_parallel`: one answer may have several calls."""

    tools: tuple[Tool, ...]
    choice: ToolChoice = ToolChoice()
    is_parallel: bool = True


class Reasoning(msgspec.Struct, frozen=True):
    """How much a model may think before it answers.

    `effort`: `none`, `minimal`, `low`, `medium`, `high` or `xhigh`; None: as the model's template does by default.
    `max_tokens`: the limit of its tokens; None: that of the effort.
    """

    effort: str | None = None
    max_tokens: int | None = None
