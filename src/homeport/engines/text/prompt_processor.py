"""From a request to token ids: tokenizes prompts, checks them against vocabulary and window, maps the bias.

Uses the CPU only and keeps nothing between requests, so any thread may prepare. A prompt of more than half a million
characters that cannot fit is refused before it is tokenized (`prompt_length_limits`). Knows nothing of scheduling.
"""

from collections.abc import Mapping
from itertools import groupby

import msgspec

from homeport.domain.content import (
    MediaPart,
    check_text_only,
)
from homeport.domain.errors import ContextOverflow, InvalidRequest
from homeport.domain.text import (
    ChatPrompt,
    EditPrompt,
    EmptyPrompt,
    InfillPrompt,
    Prompt,
    TextPrompt,
    TextRequest,
    TokenPrompt,
)
from homeport.domain.tools import OutputFormat, Reasoning
from homeport.engines import encodings
from homeport.engines.text import edit_prompts
from homeport.engines.text.answer_plan import AnswerPlanner
from homeport.engines.text.executor import Executor
from homeport.engines.text.media.blocks import MediaContent
from homeport.engines.text.media.encoder import MediaReader
from homeport.engines.text.oldest_turns import MIN_ANSWER_TOKENS, prepare_shortened, split_turns
from homeport.engines.text.prepared_prompt import (
    PreparedPrompt,
    PreparedPrompts,
    SharedStateBuilder,
    check_bans,
    check_size,
)
from homeport.engines.text.prompt_length_limits import (
    MIN_COUNTED,
    MIN_COUNTED_OFTEN,
    Check,
    LengthLimits,
    TokenLimit,
    no_check,
)
from homeport.engines.text.prompt_texts import texts_of
from homeport.engines.text.sampling import LogitBias
from homeport.engines.text.templates.chat_template import ChatTemplate, ToolSupport
from homeport.engines.text.templates.media_marks import list_media

MIN_EDIT_TOKENS = 512
"""The answer to an edit may have this many tokens in addition to twice its input's."""


class PromptProcessor:
    """Prepares requests for one model, served with a window of `window` tokens.

    `speculates`: with drafts. `media`: reads pictures and sound; None: the model reads only text.
    """

    def __init__(
        self, executor: Executor, window: int, *, speculates: bool = False, media: MediaReader | None = None
    ) -> None:
        self._speculates = speculates
        self._media = media
        self._executor = executor
        self._vocabulary = executor.vocabulary
        self._window = window
        self._batch = executor.traits.batch
        self._template = ChatTemplate(executor)
        self._planner = AnswerPlanner(executor)
        self._lengths = LengthLimits(executor)

    def prepare(self, request: TextRequest, check: Check = no_check, *, is_computed: bool = True) -> PreparedPrompts:
        """Check and tokenize. Raises InvalidRequest and ContextOverflow; `param` names the invalid field.

        `check` is called between pieces of the work, and may raise to end it. `is_computed` False: only the ids are
        needed, so that media are not encoded. Raises EngineFailed and Unavailable if they cannot be.
        """
        for token in request.stopping.stop_token_ids:
            self._check_token(token, "stop_token_ids")
        bias = self._bias(request.sampling.logit_bias, request.encoding)
        limits = [TokenLimit(self._window, _param(prompt), check) for prompt in request.prompts]
        for prompt, limit in zip(request.prompts, limits, strict=True):
            limit.check()
            if isinstance(prompt, ChatPrompt):
                self._check_parts(prompt, request)
            if not isinstance(prompt, ChatPrompt) or not prompt.drops_oldest:
                self._require_length(prompt, limit)
            if isinstance(prompt, TokenPrompt) and request.encoding is None:
                limit.spend(len(prompt.ids))
        prompts: tuple[PreparedPrompt, ...] = ()
        budget: tuple[int, ...] = ()
        for prompt, limit in zip(request.prompts, limits, strict=True):
            prepared = self._prepare_prompt(request, prompt, limit)
            prompts += (prepared,)
            budget += (self._budget(prepared, request.stopping.max_tokens, prompt),)
        if request.stopping.max_tokens is None and request.stopping.default_tokens is not None:
            budget = tuple(min(each, request.stopping.default_tokens) for each in budget)
        check_size(request, [len(each.ids) for each in prompts], [each.chars for each in prompts])
        states = SharedStateBuilder(request, speculates=self._speculates)
        shares = tuple(states.of(each) for each in prompts)
        check_bans(request, bias, shares, self._vocabulary.size)
        parts = [part for each in prompts for part in each.parts]
        if self._media is not None and parts and is_computed:  # without parts, it would wait for other requests' ones
            self._media.encode(parts, check)
        return PreparedPrompts(prompts, bias, budget, shares)

    @property
    def tool_support(self) -> ToolSupport:
        """What the model's template supports, for users."""
        return self._template.support

    def close(self) -> None:
        """Free the resources of the chat template, of the planner and of the reader of media."""
        if self._media is not None:
            self._media.close()
        self._template.close()
        self._planner.close()

    def _prepare_prompt(self, request: TextRequest, prompt: Prompt, limit: TokenLimit) -> PreparedPrompt:
        limit.check()
        encoding = request.encoding
        match prompt:
            case ChatPrompt() if prompt.drops_oldest:
                return self._shortened_chat(prompt, request, limit)
            case ChatPrompt():
                return self._chat(prompt, request.output_format, limit)
            case EditPrompt():
                return self._edit(prompt, limit)
            case InfillPrompt(before, after):
                prepared = self._infill(before, after, encoding)
            case TextPrompt() | TokenPrompt() | EmptyPrompt():
                ids, text = self._document(prompt, encoding)
                if isinstance(prompt, TextPrompt) or encoding is not None:
                    ids = [*self._start, *ids]
                ids = ids or [self._vocabulary.document_token]
                prepared = PreparedPrompt(tuple(ids), len(text), text, self._vocabulary.end_tokens)
        return msgspec.structs.replace(prepared, plan=self._planner.plan_text(request.output_format))

    def _chat(self, prompt: ChatPrompt, output: OutputFormat | None, limit: TokenLimit) -> PreparedPrompt:
        parts = self._read_media(prompt, limit)
        try:
            rendered = self._template.render(prompt, limit, [content for _, content in parts])
        except InvalidRequest as error:
            raise _renamed(error, prompt.param) from error
        return PreparedPrompt(
            tuple(rendered.ids),
            len(rendered.text),
            rendered.text,
            self._vocabulary.end_tokens,
            copy_source=tuple(self._executor.tokenize(prompt.prediction, special=False)),
            changes=rendered.changes,
            plan=self._planner.plan_chat(prompt, output, self._template.answer_format, rendered),
            media=rendered.media,
            parts=parts,
        )

    def _check_parts(self, prompt: ChatPrompt, request: TextRequest) -> None:
        """Raise InvalidRequest for media that the model cannot read, and for an echo of media."""
        if self._media is None:
            check_text_only(prompt.messages)
        elif request.echo and list_media(prompt.messages):
            raise InvalidRequest("A prompt with pictures or sound cannot be echoed.", param="echo")

    def _read_media(self, prompt: ChatPrompt, limit: TokenLimit) -> tuple[tuple[MediaPart, MediaContent], ...]:
        """Return the pictures and sound of a conversation, each with what stands for it, not yet encoded.

        Raises InvalidRequest for one that cannot be read, and EngineFailed.
        """
        if self._media is None:
            return ()
        parts = []
        for part in list_media(prompt.messages):
            content = self._media.read(part, limit.check)
            at_once = max((len(block.ids) for block in content.blocks if not block.is_causal), default=0)
            if at_once > self._batch:
                raise InvalidRequest(
                    f"Invalid '{part.param}': the model reads {at_once} embeddings of it at once, and this "
                    f"server computes at most {self._batch} (option `batch`).",
                    param=part.param,
                    code="image_too_large",
                )
            parts.append((part, content))
        return tuple(parts)

    def _shortened_chat(self, prompt: ChatPrompt, request: TextRequest, limit: TokenLimit) -> PreparedPrompt:
        """Prepare a conversation, without its oldest turns if it leaves no room for the answer."""
        wanted, default = request.stopping.max_tokens, request.stopping.default_tokens
        if wanted is None or wanted >= self._window:
            wanted = min(MIN_ANSWER_TOKENS, MIN_ANSWER_TOKENS if default is None else default)

        def prepare(conversation: ChatPrompt) -> PreparedPrompt:
            is_shortest = len(split_turns(conversation.messages)[1]) <= 1  # the one whose error is raised
            counted = MIN_COUNTED if is_shortest else MIN_COUNTED_OFTEN
            own_limit = TokenLimit(self._window, _param(prompt), limit.check, counted)
            self._require_length(conversation, own_limit)
            return self._chat(conversation, request.output_format, own_limit)

        return prepare_shortened(prompt, self._window - wanted, prepare)

    def _require_length(self, prompt: Prompt, limit: TokenLimit) -> None:
        """Raise ContextOverflow if a prompt is certainly too long."""
        self._lengths.require(texts_of(prompt), limit, len(prompt.messages) if isinstance(prompt, ChatPrompt) else 0)

    @property
    def _start(self) -> list[int]:
        return [] if self._vocabulary.start_token is None else [self._vocabulary.start_token]

    def _document(self, prompt: TextPrompt | TokenPrompt | EmptyPrompt, encoding: str | None) -> tuple[list[int], str]:
        """Return ids without a start token, and their text."""
        match prompt:
            case EmptyPrompt():
                return [], ""
            case TextPrompt(text):
                return self._executor.tokenize(text, special=False), text
            case TokenPrompt(ids) if encoding is None:
                for token in ids:
                    self._check_token(token, "prompt")
                pieces = self._vocabulary.pieces
                return list(ids), b"".join(pieces[token] for token in ids).decode("utf-8", "replace")
            case TokenPrompt(ids):
                return self._translate_ids(ids, encodings.load(encoding or ""))

    def _translate_ids(self, ids: tuple[int, ...], encoding: encodings.Encoding) -> tuple[list[int], str]:
        """Convert ids of an OpenAI encoding to the model's; end-of-text becomes the model's document token."""
        translated: list[int] = []
        texts: list[str] = []
        for is_end, group in groupby(ids, lambda id: encoding.special.get(id) == encodings.END_OF_TEXT):
            if is_end:
                translated += [self._vocabulary.document_token for _ in group]
                continue
            texts.append(b"".join(_token_bytes(encoding, id, "prompt") for id in group).decode("utf-8", "replace"))
            translated += self._executor.tokenize(texts[-1], special=False)
        return translated, "".join(texts)

    def _infill(
        self, before: TextPrompt | TokenPrompt | EmptyPrompt, after: str, encoding: str | None
    ) -> PreparedPrompt:
        """Prefix, suffix, middle: the order in which models with these tokens are trained (Bavarian et al. 2022)."""
        infill = self._vocabulary.infill
        if infill is None:
            raise InvalidRequest("This model has no fill-in-the-middle tokens: it cannot use a suffix.", param="suffix")
        prefix, text = self._document(before, encoding)
        suffix = self._executor.tokenize(after, special=False)
        ids = [*self._start, infill.prefix, *prefix, infill.suffix, *suffix, infill.middle]
        ends = self._vocabulary.end_tokens | frozenset(infill.end_tokens)
        return PreparedPrompt(tuple(ids), len(text), text, ends)

    def _edit(self, prompt: EditPrompt, limit: TokenLimit) -> PreparedPrompt:
        if not self._template.can_chat:
            raise InvalidRequest("This model has no chat template: it cannot follow instructions.", param="model")
        edit = edit_prompts.build_edit_conversation(prompt)
        rendered = self._template.render(ChatPrompt(edit.messages, reasoning=Reasoning("none")), limit)
        ids, text = rendered.ids + self._executor.tokenize(edit.answer_prefix, special=False), rendered.text
        source = tuple(self._executor.tokenize(prompt.input, special=False))
        return PreparedPrompt(tuple(ids), len(text), text, self._vocabulary.end_tokens, (edit.stop,), source)

    def _budget(self, prepared: PreparedPrompt, max_tokens: int | None, prompt: Prompt) -> int:
        """Return how many tokens may be generated after a prompt. The errors have OpenAI's wording.

        Clients cannot limit an edit, and a model that finds no end must not fill the window with one. A limit that no
        prompt leaves room for is a client's default for larger models, so it counts as none.
        """
        size = len(prepared.ids)
        room = self._window - size
        if max_tokens is not None and max_tokens >= self._window:
            max_tokens = None
        if max_tokens is not None and max_tokens <= room:
            return max_tokens
        if max_tokens is None and room > 0:
            edit_limit = MIN_EDIT_TOKENS + 2 * len(prepared.copy_source)
            return min(room, edit_limit) if isinstance(prompt, EditPrompt) else room
        param = _param(prompt)
        if max_tokens is None:
            raise TokenLimit(self._window, param).overflow(size)
        part = "messages" if isinstance(prompt, ChatPrompt) else "prompt"
        raise ContextOverflow(
            f"This model's maximum context length is {self._window} tokens, however you requested {size + max_tokens} "
            f"tokens ({size} in your {part}; {max_tokens} for the completion). Please reduce your {part}; "
            "or completion length.",
            param=param,
        )

    def _bias(self, wanted: Mapping[int, float], name: str | None) -> LogitBias:
        values: dict[int, float] = {}
        if name is None:
            for id, value in wanted.items():
                self._check_token(id, "logit_bias")
                values[id] = value
        else:
            values = self._map_bias(wanted, encodings.load(name))
        return LogitBias.of(values)

    def _map_bias(self, wanted: Mapping[int, float], encoding: encodings.Encoding) -> dict[int, float]:
        """Map a bias on an encoding's ids to the model's. Raises InvalidRequest if a text is not one token here."""
        values: dict[int, float] = {}
        texts: dict[bytes, int] = {}
        for id, value in wanted.items():
            if encoding.special.get(id) == encodings.END_OF_TEXT:
                values.update(dict.fromkeys(self._vocabulary.end_tokens, value))
            else:
                texts[_token_bytes(encoding, id, "logit_bias")] = id
        # One pass for all ids. Some vocabularies hold the same bytes twice: banning only one of them would not be a
        # ban.
        matches = [(token, texts[piece]) for token, piece in enumerate(self._vocabulary.pieces) if piece in texts]
        values.update({token: wanted[id] for token, id in matches})
        missing = set(texts.values()) - {id for _, id in matches}
        if missing:
            id = min(missing)
            raise InvalidRequest(
                f"Token {id} of the encoding {encoding.name} is {encoding.token(id)!r}, which is not one token of this "
                "model. Under the model's real name, set logit_bias by the model's own ids.",
                param="logit_bias",
            )
        return values

    def _check_token(self, token: int, param: str) -> None:
        if not 0 <= token < self._vocabulary.size:
            raise InvalidRequest(
                f"Token {token} is not in this model's vocabulary of {self._vocabulary.size} tokens.", param=param
            )


def _param(prompt: Prompt) -> str:
    """Return the name of the field that holds a prompt."""
    if isinstance(prompt, ChatPrompt):
        return prompt.param
    return "input" if isinstance(prompt, EditPrompt) else "prompt"


def _renamed(error: InvalidRequest, param: str) -> InvalidRequest:
    """Return an error of a conversation's template that names the field that holds the conversation."""
    if param == "messages" or not (error.param or "").startswith("messages"):
        return error
    return type(error)(error.message, param=param, code=error.code)


def _token_bytes(encoding: encodings.Encoding, id: int, param: str) -> bytes:
    try:
        return encoding.token(id)
    except InvalidRequest as error:
        raise InvalidRequest(error.message, param=param) from None
