"""Compiles and renders a model's chat template, a program shipped with the weights, in Jinja's immutable sandbox.

The environment provides what `transformers` provides to templates (trimmed blocks, loop controls, `generation`,
`tojson`, `raise_exception`, `strftime_now`). Time and memory are not limited here but per process, see
`worker`, which imports this module; so this one imports nothing heavy. Knows nothing of tokens.
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
_MAX_QUOTED = 200


class ChatTemplateError(Exception):
    """The template raised an error or cannot be used; the message is safe to return to the caller."""


class TemplateStopped(ChatTemplateError):
    """The template exceeded a limit, so no other variant of the conversation is tried."""


class Run(NamedTuple):
    """One rendering: the template's variables, and the number of output characters that they account for."""

    variables: dict[str, Any]
    characters: int


class SandboxedTemplate:
    """A template compiled in this process. Raises ChatTemplateError if it does not compile."""

    def __init__(self, source: str) -> None:
        # Not optimized: a constant expression computed while compiling could take any time and memory.
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
        """Return the output of each run. Raises ChatTemplateError, and what `check` raises, called after each piece."""
        return [self._render(run, check) for run in runs]

    def try_render(self, runs: Sequence[Run]) -> list[str | None]:
        """Return the output of each run, None for those that the template refuses. Raises TemplateStopped."""
        return [self._try_render(run) for run in runs]

    def _try_render(self, run: Run) -> str | None:
        try:
            return self._render(run, None)
        except TemplateStopped:
            raise
        except ChatTemplateError:
            return None

    def close(self) -> None:
        """Do nothing: there is nothing to free."""

    def _render(self, run: Run, check: Callable[[], None] | None) -> str:
        parts: list[str] = []
        left = run.characters + SPARE_CHARACTERS
        pieces = self._template.generate(run.variables)
        while True:
            try:
                part = next(pieces, None)
            except MemoryError as error:
                raise TemplateStopped("The model's chat template needs too much memory.") from error
            # A template can raise anything: it may index, add or call values that the messages do not have.
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
    """Also refuses multiplications that would exhaust memory."""

    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        numbers = [value for value in (left, right) if isinstance(value, int)]
        sizes = [len(value) for value in (left, right) if isinstance(value, (str, list, tuple))]
        if operator == "**" or (sizes and numbers and sizes[0] * numbers[0] > _MAX_PRODUCT):
            raise SecurityError("the product is too large")
        return super().call_binop(context, operator, left, right)


class _Generation(Extension):
    """`{% generation %}` marks an assistant's text for training; here it only opens a scope."""

    tags = {"generation"}  # noqa: RUF012 - as Jinja declares it

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)


def _reason(error: Exception) -> str:
    """Return an error's text, shortened so that it does not repeat a whole message."""
    text = str(error) or type(error).__name__
    return text if len(text) <= _MAX_QUOTED else f"{text[:_MAX_QUOTED]}…"


def _tojson(
    value: object,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Has the parameters and defaults of `transformers`: nothing is escaped for ASCII or HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise_exception(message: str) -> NoReturn:
    raise TemplateError(message)


def _strftime_now(format: str) -> str:
    return datetime.now().astimezone().strftime(format)
