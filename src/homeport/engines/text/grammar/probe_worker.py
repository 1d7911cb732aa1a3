"""The process that compiles grammars which might take too long; it can be killed whatever they do.

The first message is the number of tokens of the vocabulary, each further one a list of grammars. The reply is the index
of the first one that does not compile. The vocabulary here is one of single bytes: what takes long is the grammar.
The limits are those of `isolated_worker`, with less time.
"""

from typing import Any

from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper

from homeport.engines.text.grammar.limits import parser_limits
from homeport.engines.text.isolated_worker import Reply, serve

CPU_S = 1.0  # on a busy machine several times as long
_VOCABULARY_CPU_S = 60.0  # it is trusted: the limit only ends a process that hangs
_N_BYTES = 256


class _Bytes:
    """A vocabulary of `size` tokens, of which the first ones are the bytes; the last one ends texts."""

    def __init__(self, size: int) -> None:
        self.eos_token_id, self.bos_token_id = size - 1, None
        self.tokens = [bytes([byte]) for byte in range(_N_BYTES)] + [
            b"\xff<%d>" % token for token in range(_N_BYTES, size)
        ]
        self.special_token_ids = range(_N_BYTES, size)

    def __call__(self, text: bytes) -> list[int]:
        """Return the ids of a text: its bytes."""
        return list(text)


class _Worker:
    def __init__(self) -> None:
        self._tokenizer: LLTokenizer | None = None

    def answer(self, message: Any) -> tuple[Reply, bool]:
        """Build the vocabulary, then compile."""
        if self._tokenizer is None:
            self._tokenizer = LLTokenizer(TokenizerWrapper(_Bytes(max(message, _N_BYTES + 1))))
            return {}, True
        for index, source in enumerate(message):
            if LLMatcher(self._tokenizer, source, log_level=0, limits=parser_limits()).is_error():
                return {"failed": index}, True
        return {}, True


def main() -> None:
    """Process requests until standard input ends."""
    serve(_Worker().answer, CPU_S, first_cpu_s=_VOCABULARY_CPU_S)
