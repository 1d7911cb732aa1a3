"""Answers token requests: converts text or a conversation to token ids and back, and describes the tokenizer.

The model computes nothing. Names of control tokens in a text become these tokens, as with the tokenizers that models
are published with: nothing is generated from the result. Knows nothing of scheduling.
"""

from homeport.domain.errors import InvalidRequest
from homeport.domain.events import TokenizeResult, TokenizerFacts
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
from homeport.engines.text.prepared_prompt import PreparedPrompts
from homeport.engines.text.prompt_length_limits import Check
from homeport.engines.text.prompt_processor import PromptProcessor
from homeport.engines.text.templates.control_tokens import find_special_token
from homeport.engines.text.utf8 import token_text

MAX_TEXT_BYTES = 4_000_000
"""Of the text of token ids: it is sent to the gateway in one message."""
MAX_IDS = 1 << 18
"""Of a text: the gateway needs about 50 ms to read this many with their names, during which streams wait."""


class RequestPreparer:
    """Prepares text requests, and answers token requests."""

    def __init__(self, tokenizer: Tokenizer, prompts: PromptProcessor) -> None:
        self._tokenizer = tokenizer
        self._vocabulary = tokenizer.vocabulary
        self._prompts = prompts

    def prepare(self, request: TextRequest | TokenRequest, check: Check) -> PreparedPrompts | TokenizeResult:
        """Check and tokenize. Raises InvalidRequest and ContextOverflow; `param` names the invalid field.

        `check` is called between pieces of the work, and may raise to end it.
        """
        if isinstance(request, TextRequest):
            return self._prompts.prepare(request, check)
        if not request.prompts:
            return TokenizeResult(facts=self._facts())
        prompt = request.prompts[0]
        if isinstance(prompt, TokenPrompt):
            return TokenizeResult(text=self._text(prompt.ids, request.encoding))
        if request.encoding is not None:
            raise InvalidRequest(
                f"Homeport cannot encode text with {request.encoding}, whose token ids this alias uses: use the "
                "model's real name.",
                param="model",
            )
        ids = self._ids(prompt, check, adds_start=request.adds_start)
        return TokenizeResult(ids, tuple(self._name(token) for token in ids) if request.names else ())

    def _ids(self, prompt: TextPrompt | ChatPrompt, check: Check, *, adds_start: bool) -> tuple[int, ...]:
        if isinstance(prompt, ChatPrompt):
            # Turns are dropped as for an answer without a limit, so that the number is that of its prompt.
            stopping = StoppingCriteria(max_tokens=None if prompt.drops_oldest else 0)
            request = TextRequest((prompt,), stopping=stopping)
            return self._prompts.prepare(request, check, is_computed=False).prompts[0].ids
        start = self._vocabulary.start_token
        ids = self._tokenizer.tokenize(prompt.text, special=True)
        if len(ids) > MAX_IDS:
            raise InvalidRequest(
                f"Invalid 'prompt': it is {len(ids)} tokens long; at most {MAX_IDS} are returned at once.",
                param="prompt",
            )
        return (*(() if start is None or not adds_start else (start,)), *ids)

    def _text(self, ids: tuple[int, ...], encoding: str | None) -> str:
        pieces = self._pieces(ids) if encoding is None else _decode_foreign_ids(ids, encodings.load(encoding))
        if sum(map(len, pieces)) > MAX_TEXT_BYTES:
            raise InvalidRequest(f"Invalid 'tokens': the text is longer than {MAX_TEXT_BYTES} bytes.", param="tokens")
        return b"".join(pieces).decode("utf-8", "replace")

    def _pieces(self, ids: tuple[int, ...]) -> list[bytes]:
        size = self._vocabulary.size
        if ids and max(ids) >= size:
            raise InvalidRequest(
                f"Token {max(ids)} is not in this model's vocabulary of {size} tokens.", param="tokens"
            )
        pieces, special = self._vocabulary.pieces, self._vocabulary.special
        return [pieces[token] or special.get(token, "").encode() if token >= 0 else b"" for token in ids]

    def _name(self, token: int) -> str:
        if token < 0:  # a part of a picture
            return ""
        return token_text(self._vocabulary.pieces[token]) or self._vocabulary.special.get(token, "")

    def _facts(self) -> TokenizerFacts:
        vocabulary = self._vocabulary
        return TokenizerFacts(
            vocabulary=vocabulary.size,
            adds_start=vocabulary.start_token is not None,
            bos=find_special_token(self._tokenizer, "bos")
            or (vocabulary.special.get(vocabulary.start_token) if vocabulary.start_token else None),
            eos=find_special_token(self._tokenizer, "eos")
            or vocabulary.special.get(min(vocabulary.end_tokens, default=-1)),
            unknown=find_special_token(self._tokenizer, "unknown"),
            padding=find_special_token(self._tokenizer, "padding"),
            chat_template=self._tokenizer.metadata.get("tokenizer.chat_template") or None,
        )


def _decode_foreign_ids(ids: tuple[int, ...], encoding: encodings.Encoding) -> list[bytes]:
    return [encoding.special[id].encode() if id in encoding.special else encoding.token(id) for id in ids]
