"""The interface between sampling and a grammar: which tokens one answer may continue with.

Knows nothing of grammars' syntax, schemas, tools or logits.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class ConstraintFailed(Exception):
    """An answer cannot be followed in its grammar any further: a step needs too much work, or its token is not allowed.

    It fails this answer only. The message is safe to return to the caller.
    """


class Constraint(Protocol):
    """One answer's position in its grammar. Only the step thread uses it.

    `allows`, `mask` and `accept` raise ConstraintFailed.
    """

    @property
    def is_complete(self) -> bool:
        """Whether the text is complete and nothing may follow."""
        ...

    def forced(self) -> Sequence[int]:
        """Return the next tokens if only one continuation is possible, as far as it is; else none."""
        ...

    def allows(self, token: int) -> bool:
        """Return whether a token may come next. An end token may come where the text is complete."""
        ...

    def mask(self) -> NDArray[np.bool_]:
        """Return for every token (vocabulary) whether it may come next."""
        ...

    def accept(self, token: int) -> None:
        """Continue with a token that `allows` allows. Raises ConstraintFailed if it does not."""
        ...


class Grammar(Protocol):
    """A compiled grammar, which all answers to a request share. Any thread may use it."""

    def start(self) -> Constraint:
        """Return a new answer's position, at the beginning."""
        ...


class GrammarCompiler(Protocol):
    """Compiles grammars for one model's vocabulary. Prepare threads use it."""

    def compile(self, source: str, *, param: str) -> Grammar:
        """Compile a grammar in llguidance's Lark syntax. Raises InvalidRequest (`param`) if it is invalid or too big.

        Returns soon even for a grammar that would take forever. Equal sources are compiled once.
        """
        ...

    def json_schema(self, schema: str, *, param: str, compact: bool) -> str:
        """Return the term of a Lark grammar for a JSON Schema (JSON text), which compiles by itself.

        `compact`: the JSON is written as Python's `json.dumps` does; else white space is free within bounds. Raises
        InvalidRequest whose `param` is the given one and the path at fault, and whose message names path and keyword.
        """
        ...

    def close(self) -> None:
        """Free its resources."""
        ...
