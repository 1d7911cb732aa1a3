"""Run a model's chat template: a program that came with the weights, so it runs caged.

Jinja's immutable sandbox, plus what it lacks: a deadline that loops and recursion cannot outrun, a cap on the output,
and a cap on what multiplication may build. The environment offers what templates on model hubs rely on (trimmed
blocks, loop controls, `raise_exception`, `strftime_now`, a `tojson` that leaves text readable). Knows nothing of
tokens.
"""

import json
import sys
import time
from collections.abc import Callable
from datetime import datetime
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self

from jinja2 import TemplateError
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

SECONDS = 2.0
SPARE_CHARACTERS = 1_000_000
_FILENAME = "<template>"  # what Jinja calls code it compiled from a string
_LONGEST_PRODUCT = 1_000_000


class TemplateRefused(Exception):
    """The template raised, broke or went over a limit; the message is fit for the caller."""


class Program:
    """A compiled chat template. Raises TemplateRefused where the source is no Jinja template."""

    def __init__(self, source: str) -> None:
        self.source = source
        environment = _Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
        environment.filters["tojson"] = _tojson
        environment.globals["raise_exception"] = _raise_exception
        environment.globals["strftime_now"] = _strftime_now
        try:
            self._template = environment.from_string(source)
        except TemplateError as error:
            raise TemplateRefused(f"The model's chat template is broken: {error}") from error

    def render(self, variables: dict[str, object], characters: int) -> str:
        """The output, at most `characters` and some to spare long. Raises TemplateRefused."""
        limit = characters + SPARE_CHARACTERS
        parts: list[str] = []
        size = 0
        try:
            with _Deadline(SECONDS):
                for part in self._template.generate(variables):
                    parts.append(part)
                    size += len(part)
                    if size > limit:
                        raise TemplateRefused("The model's chat template wrote without end.")
        except TemplateRefused:
            raise
        # A template can raise anything: it may index, add or call what the messages do not have.
        except Exception as error:
            raise TemplateRefused(f"The model's chat template refused the messages: {error}") from error
        return "".join(parts)


class _Sandbox(ImmutableSandboxedEnvironment):
    """Also refuses multiplications that would fill the memory."""

    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        numbers = [value for value in (left, right) if isinstance(value, int)]
        sizes = [len(value) for value in (left, right) if isinstance(value, (str, list, tuple))]
        if operator == "**" or (sizes and numbers and sizes[0] * numbers[0] > _LONGEST_PRODUCT):
            raise SecurityError("the product is too large")
        return super().call_binop(context, operator, left, right)


class _Deadline:
    """Stops template code of this thread after so many seconds: a trace function sees every line it runs."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def __enter__(self) -> Self:
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        sys.settrace(self._before)

    def _trace(self, frame: FrameType, _event: str, _argument: object) -> Callable[..., Any] | None:
        if frame.f_code.co_filename != _FILENAME:
            return None
        if time.monotonic() > self._until:
            raise TemplateRefused("The model's chat template took too long.")
        return self._trace


def _tojson(value: object, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _raise_exception(message: str) -> NoReturn:
    raise TemplateError(message)


def _strftime_now(format: str) -> str:
    return datetime.now().astimezone().strftime(format)
