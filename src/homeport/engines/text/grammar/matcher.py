"""A compiled grammar and the positions of answers in it. Knows nothing of grammars' syntax."""

import threading
import time
from collections.abc import Sequence

import numpy as np
from llguidance import LLMatcher
from numpy.typing import NDArray

from homeport.engines.text.constraint import ConstraintFailed

_LONG_S = 0.05  # time of a step from which it counts …
_MAX_LONG_S = 1.0  # … towards this, beyond which an answer stalls all others too much
_NOTHING = "NoExtensionBias"  # why llguidance stops at the beginning if no text matches
_LEFT = "doesn't satisfy the grammar"
_TOO_COMPLEX = "The answer's grammar or schema became too complex to continue."


class LlguidanceGrammar:
    """Implements `constraint.Grammar`. `matcher` is at the beginning; `size`: tokens; `end_tokens`: as the model's."""

    def __init__(self, matcher: LLMatcher, size: int, end_tokens: frozenset[int]) -> None:
        self._matcher = matcher
        self._size = size
        self._end_tokens = end_tokens
        self._lock = threading.Lock()

    def start(self) -> "LlguidanceConstraint":
        """Return a new answer's position, at the beginning. Takes some microseconds."""
        with self._lock:
            return LlguidanceConstraint(self._matcher.deep_copy(), self._size, self._end_tokens)


class LlguidanceConstraint:
    """Implements `constraint.Constraint`.

    llguidance never raises, but stays in an error state: if a step needs more work than its limits allow, the next
    method that is called raises ConstraintFailed. Its limits do not bound the time of very ambiguous grammars; the time
    that one answer spends in long steps is bounded here.
    """

    def __init__(self, matcher: LLMatcher, size: int, end_tokens: frozenset[int]) -> None:
        self._matcher = matcher
        self._size = size
        self._end_tokens = end_tokens
        self._bits = np.zeros((size + 31) // 32, dtype=np.uint32)
        self._long_s = 0.0

    @property
    def is_complete(self) -> bool:
        """Whether the text is complete and nothing may follow."""
        return self._matcher.is_stopped() and not self._matcher.is_error()

    def can_start(self) -> bool:
        """Return whether any text matches; only at the beginning, which it leaves.

        Raises ConstraintFailed if the first step is too complex.
        """
        try:
            allowed = self.mask()
            self.forced()
            self._check()
        except ConstraintFailed:
            if self._matcher.stop_reason() == _NOTHING:
                return False
            raise
        if self._matcher.stop_reason() == _NOTHING or not allowed.any():
            return False
        self.accept(int(allowed.argmax()))  # only now the number of alternatives is checked
        return True

    def forced(self) -> Sequence[int]:
        """Return the next tokens if only one continuation is possible, as far as it is; else none.

        Text that may continue in several ways is returned only as far as every continuation has the same tokens.
        """
        return self._matcher.compute_ff_tokens()

    def allows(self, token: int) -> bool:
        """Return whether a token may come next. An end token may come where the text is complete."""
        if token in self._end_tokens:  # which llguidance validates only as text
            return self._matcher.is_accepting() or bool(self.mask()[token])
        began = time.perf_counter()
        is_valid = self._matcher.validate_tokens([token]) == 1
        self._count(began)
        if not is_valid:
            self._check()
        return is_valid

    def mask(self) -> NDArray[np.bool_]:
        """Return for every token (vocabulary) whether it may come next."""
        began = time.perf_counter()
        self._matcher.unsafe_compute_mask_ptr(self._bits.ctypes.data, self._bits.nbytes)
        self._count(began)
        self._check()
        return np.unpackbits(self._bits.view(np.uint8), count=self._size, bitorder="little").view(np.bool_)

    def accept(self, token: int) -> None:
        """Continue with a token that `allows` allows. Raises ConstraintFailed if it does not."""
        if not self._matcher.consume_token(token):
            self._check()

    def _count(self, began: float) -> None:
        """Count a step that began at this time. Raises ConstraintFailed if long steps took too long together."""
        took = time.perf_counter() - began
        if took > _LONG_S:
            self._long_s += took
            if self._long_s > _MAX_LONG_S:
                raise ConstraintFailed(_TOO_COMPLEX)

    def _check(self) -> None:
        if self._matcher.is_error():
            is_left = _LEFT in self._matcher.get_error()
            raise ConstraintFailed("The answer left its grammar or schema." if is_left else _TOO_COMPLEX)
