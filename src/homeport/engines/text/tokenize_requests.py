"""Converts text or a conversation to token ids and back, and describes a tokeniser; no model computes.

Names of control tokens in a text become these tokens here, as with the tokenisers that models are published with:
nothing is generated from the result. Knows nothing of scheduling.
"""

from homeport.domain.errors import InvalidRequest
from homeport.domain.events import Tokenised, TokenizerFacts
from homeport.domain.text import (
    ChatPrompt,
    StoppingCriteria,
    TextPrompt,
    TextRequest,
    TokenPrompt,
    TokenRequest,
)
from homeport.engines import encodings
from homeport.engines.text.executor import Tokenizer
from homeport.engines.text.length_limits import Check
from homeport.engines.text.prompt_processor import PreparedPrompts, PromptProcessor
from homeport.engines.text.utf8 import token_text

MOST_TEXT_BYTES = 4_000_000
"""What the text of ids may be at most: it goes to the gateway in one message."""
MOST_IDS = 1 << 18
"""The same of a text's ids: with their names the gateway reads so many in some 50 ms, and streams wait meanwhile."""


class RequestPreparer:
    """Prepares both kinds of requests: those that generate, and those that are thereby answered."""

    def __init__(self, executor: Tokenizer, preparer: PromptProcessor) -> None:
        self._executor = executor
        self._vocabulary = executor.vocabulary
        self._preparer = preparer

    def prepare(self, request: TextRequest | TokenRequest, check: Check) -> PreparedPrompts | Tokenised:
        """Check, and tokenise. Raises InvalidRequest and ContextOverflow, `param` naming the field at fault.

        `check` is called between pieces of the work, and may raise to end it.
        """
        if isinstance(request, TextRequest):
            return self._preparer.prepare(request, check)
        if not request.prompts:
            return Tokenised(facts=self._facts())
        prompt = request.prompts[0]
        if isinstance(prompt, TokenPrompt):
            return Tokenised(text=self._text(prompt.ids, request.encoding))
        if request.encoding is not None:
            raise InvalidRequest(
                f"This name stands for the token ids of {request.encoding}, which text is not encoded with here: use "
                "the model's real name.",
                param="model",
            )
        ids = self._ids(prompt, check, adds_start=request.adds_start)
        return Tokenised(ids, tuple(self._name(token) for token in ids) if request.names else ())

    def _ids(self, prompt: TextPrompt | ChatPrompt, check: Check, *, adds_start: bool) -> tuple[int, ...]:
        if isinstance(prompt, ChatPrompt):
            return (
                self._preparer.prepare(TextRequest((prompt,), stopping=StoppingCriteria(max_tokens=0)), check)
                .prompts[0]
                .ids
            )
        start = self._vocabulary.start_token
        ids = self._executor.tokenize(prompt.text, special=True)
        if len(ids) > MOST_IDS:
            raise InvalidRequest(
                f"Invalid 'prompt': it is {len(ids)} tokens long; at most {MOST_IDS} are returned at once.",
                param="prompt",
            )
        return (*(() if start is None or not adds_start else (start,)), *ids)

    def _text(self, ids: tuple[int, ...], encoding: str | None) -> str:
        pieces = self._pieces(ids) if encoding is None else _encoded(ids, encodings.load(encoding))
        if sum(map(len, pieces)) > MOST_TEXT_BYTES:
            raise InvalidRequest(f"Invalid 'tokens': the text is longer than {MOST_TEXT_BYTES} bytes.", param="tokens")
        return b"".join(pieces).decode("utf-8", "replace")

    def _pieces(self, ids: tuple[int, ...]) -> list[bytes]:
        size = self._vocabulary.size
        if ids and max(ids) >= size:
            raise InvalidRequest(
                f"Token {max(ids)} is not in this model's vocabulary of {size} tokens.", param="tokens"
            )
        pieces, special = self._vocabulary.pieces, self._vocabulary.special
        return [pieces[token] or special.get(token, "").encode() for token in ids]

    def _name(self, token: int) -> str:
        return token_text(self._vocabulary.pieces[token]) or self._vocabulary.special.get(token, "")

    def _facts(self) -> TokenizerFacts:
        vocabulary = self._vocabulary
        return TokenizerFacts(
            vocabulary=vocabulary.size,
            adds_start=vocabulary.start_token is not None,
            bos=self._control("bos")
            or (vocabulary.special.get(vocabulary.start_token) if vocabulary.start_token else None),
            eos=self._control("eos") or vocabulary.special.get(min(vocabulary.end_tokens, default=-1)),
            unknown=self._control("unknown"),
            padding=self._control("padding"),
            chat_template=self._executor.metadata.get("tokenizer.chat_template") or None,
        )

    def _control(self, kind: str) -> str | None:
        """The name of the token that the model's metadata gives this part."""
        id = self._executor.metadata.get(f"tokenizer.ggml.{kind}_token_id", "")
        return self._vocabulary.special.get(int(id)) if id.isdecimal() else None


def _encoded(ids: tuple[int, ...], encoding: encodings.Encoding) -> list[bytes]:
    return [encoding.special[id].encode() if id in encoding.special else encoding.token(id) for id in ids]
