"""Compile and render a model's chat template: a program that came with the weights, in Jinja's immutable sandbox.

The environment offers what `transformers` offers to templates (trimmed blocks, loop controls, `generation`, `tojson`,
`raise_exception`, `strftime_now`). Time and memory have no limit here: they are limits of a process, see
`template_worker`, which imports this and therefore nothing heavy. Knows nothing of tokens.
"""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple, NoReturn

from jinja2 import TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

SPARE_CHARACTERS = 1_000_000
_MAX_PRODUCT = 1_000_000
_MOST_QUOTED = 200


class ChatTemplateError(Exception):
    """The template raised or broke; the message is fit for the caller."""


class TemplateStopped(ChatTemplateError):
    """The template went over a limit: it would do so for any conversation, or the next one would."""


class Run(NamedTuple):
    """One rendering: the template's variables, and how many characters of output they explain."""

    variables: dict[str, Any]
    characters: int


class SandboxedTemplate:
    """A template compiled in this process. Raises ChatTemplateError where it does not compile."""

    def __init__(self, source: str) -> None:
        # Nothing is computed while compiling: a constant expression could take any time and memory.
        environment = _Sandbox(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,
            extensions=["jinja2.ext.loopcontrols", _Generation],
        )
        environment.filters["tojson"] = _tojson
        environment.globals["raise_exception"] = _raise_exception
        environment.globals["strftime_now"] = _strftime_now
        try:
            self._template = environment.from_string(source)
        # Not only TemplateError: deep nesting is a RecursionError, or a SyntaxError of the Python that Jinja writes.
        except Exception as error:
            raise ChatTemplateError(f"The model's chat template is broken: {_reason(error)}") from error

    def render(self, runs: Sequence[Run], check: Callable[[], None] | None = None) -> list[str]:
        """The output of each run. Raises ChatTemplateError, and what `check` raises: it is called again and again."""
        return [self._rendered(run, check) for run in runs]

    def close(self) -> None:
        """Nothing is held."""

    def _rendered(self, run: Run, check: Callable[[], None] | None) -> str:
        parts: list[str] = []
        left = run.characters + SPARE_CHARACTERS
        pieces = self._template.generate(run.variables)
        while True:
            try:
                part = next(pieces, None)
            except MemoryError as error:
                raise TemplateStopped("The model's chat template needs too much memory.") from error
            # A template can raise anything: it may index, add or call what the messages do not have.
            except Exception as error:
                raise ChatTemplateError(f"The model's chat template refused the messages: {_reason(error)}") from error
            if part is None:
                return "".join(parts)
            parts.append(part)
            left -= len(part)
            if left < 0:
                raise TemplateStopped("The model's chat template produced too much text.")
            if check is not None:
                check()


class _Sandbox(ImmutableSandboxedEnvironment):
    """Also refuses multiplications that would fill the memory."""

    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        numbers = [value for value in (left, right) if isinstance(value, int)]
        sizes = [len(value) for value in (left, right) if isinstance(value, (str, list, tuple))]
        if operator == "**" or (sizes and numbers and sizes[0] * numbers[0] > _MAX_PRODUCT):
            raise SecurityError("the product is too large")
        return super().call_binop(context, operator, left, right)


class _Generation(Extension):
    """`{% generation %}` marks what an assistant said, for training; here it only has a scope of its own."""

    tags = {"generation"}  # noqa: RUF012 - as Jinja declares it

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)


def _reason(error: Exception) -> str:
    """What an error says, in a length that does not repeat a whole message."""
    text = str(error) or type(error).__name__
    return text if len(text) <= _MOST_QUOTED else f"{text[:_MOST_QUOTED]}…"


def _tojson(
    value: object,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """With the parameters and defaults of `transformers`: text stays readable, nothing is escaped for HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise_exception(message: str) -> NoReturn:
    raise TemplateError(message)


def _strftime_now(format: str) -> str:
    return datetime.now().astimezone().strftime(format)
