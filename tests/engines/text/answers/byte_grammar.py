"""Runs grammars on a vocabulary of single bytes and control tokens."""

import json
import random
from collections.abc import Mapping

from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper

from homeport.domain.errors import InvalidRequest
from homeport.engines.text.answers.marks import CONTROL

END = 256
_PREFERRED = "ab<>|\"'{}[]()/_, \n\\:=-+.0123456789"


class _ByteTokenizer:
    """The tokenizer that llguidance asks for: 256 bytes, an end token, control tokens."""

    eos_token_id = END
    bos_token_id = None

    def __init__(self, controls: Mapping[str, int]) -> None:
        names = sorted(controls, key=lambda name: controls[name])
        self.tokens = [bytes([value]) for value in range(256)] + [b"\xff<end>", *(b"\xff" + n.encode() for n in names)]
        self.special_token_ids = list(range(END, len(self.tokens)))

    def __call__(self, text: bytes) -> list[int]:
        return list(text)


class ByteGrammar:
    """One compiled grammar. `controls`: ids by name, from 257 on."""

    def __init__(self, source: str, controls: Mapping[str, int]) -> None:
        self._controls = controls
        tokenizer = LLTokenizer(TokenizerWrapper(_ByteTokenizer(controls)))
        self._matcher = LLMatcher(tokenizer, source)
        assert not self._matcher.is_error(), self._matcher.get_error()

    def tokens(self, text: str) -> list[int]:
        """Return generated text as tokens."""
        first, *rest = text.split(CONTROL)
        tokens = list(first.encode())
        for part in rest:
            name = max((name for name in self._controls if part.startswith(name)), key=len)
            tokens += [self._controls[name], *part[len(name) :].encode()]
        return tokens

    def accepts(self, text: str) -> bool:
        """Return whether a text is a whole answer."""
        tokens = self.tokens(text)
        matcher = self._matcher.deep_copy()
        return matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting()

    def begins(self, text: str) -> bool:
        """Return whether an answer may begin with a text."""
        tokens = self.tokens(text)
        return self._matcher.deep_copy().try_consume_tokens(tokens) == len(tokens)

    def walk(self, draw: random.Random, most: int = 2000, *, begin: str = "") -> str | None:
        """Return a random answer that the grammar accepts, mostly of letters and signs; None if it does not end.

        `begin`: text without control tokens that it begins with.
        """
        matcher = self._matcher.deep_copy()
        names = {id: name for name, id in self._controls.items()}
        written = [begin.encode()]
        matcher.consume_tokens(self.tokens(begin))
        for _ in range(most):
            mask = matcher.compute_bitmask()
            allowed = [token for token in range(END + 1 + len(names)) if mask[token // 8] >> (token % 8) & 1]
            if END in allowed and draw.random() < 0.3:
                return b"".join(written).decode()
            preferred = [token for token in allowed if chr(token) in _PREFERRED or token > END]
            choices = [token for token in preferred or allowed if token != END]
            if not choices:
                return b"".join(written).decode()
            token = draw.choice(choices)
            matcher.consume_token(token)
            written.append(bytes([token]) if token < END else (CONTROL + names[token]).encode())
        return None

    def may_continue(self, text: str) -> bool:
        """Return whether an answer that begins with a text may have more tokens than that."""
        matcher = self._matcher.deep_copy()
        matcher.consume_tokens(self.tokens(text))
        allowed = matcher.compute_bitmask()
        return any(
            allowed[token // 8] >> (token % 8) & 1 for token in range(END + 1 + len(self._controls)) if token != END
        )


def to_lark(schema: str, *, param: str, compact: bool) -> str:
    """Return a schema as llguidance reads it; `not` stands for what cannot be enforced."""
    parsed = json.loads(schema)
    if '"not"' in schema:
        raise InvalidRequest("`not` cannot be enforced", param=param)
    guidance: dict[str, object] = {"whitespace_pattern": r"[\x20\x0A\x0D\x09]{1,8}"}
    if compact:
        guidance = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
    return "%json " + json.dumps({**(parsed if isinstance(parsed, dict) else {}), "x-guidance": guidance})
