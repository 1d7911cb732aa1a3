"""What a text engine is asked for. Values only; `api` builds them, a worker reads them.

Knows nothing of JSON field names, HTTP or tokenisers. Ranges are already checked by `api` (static checks);
what needs the model (window, vocabulary, template, fill-in-the-middle) is checked by the worker.
"""

import msgspec

from homeport.domain.models import Adapter


class TextPrompt(msgspec.Struct, frozen=True, tag="text"):
    """Raw text, tokenised as plain text behind the document's start. Never wrapped in a template."""

    text: str


class TokenPrompt(msgspec.Struct, frozen=True, tag="tokens"):
    """Token ids: of `TextRequest.encoding` where that is set, else of the model's own vocabulary."""

    ids: tuple[int, ...]


class EmptyPrompt(msgspec.Struct, frozen=True, tag="start"):
    """No prompt at all: generate as from the beginning of a new document."""


class InfillPrompt(msgspec.Struct, frozen=True, tag="infill"):
    """Generate what stands between `before` and `after`, with the model's own FIM tokens."""

    prefix: TextPrompt | TokenPrompt | EmptyPrompt
    suffix: str


class Message(msgspec.Struct, frozen=True):
    """One turn of a chat. `content` is plain text, never markup; `name` tells speakers of one role apart."""

    role: str
    content: str
    name: str | None = None


class ChatPrompt(msgspec.Struct, frozen=True, tag="chat"):
    """A conversation, rendered with the model's own template."""

    messages: tuple[Message, ...]


class EditPrompt(msgspec.Struct, frozen=True, tag="edit"):
    """Rewrite `input` as `instruction` says; only the rewritten text comes back."""

    input: str
    instruction: str


Prompt = TextPrompt | TokenPrompt | EmptyPrompt | InfillPrompt | ChatPrompt | EditPrompt


class SamplingParams(msgspec.Struct, frozen=True):
    """How the next token is drawn. Defaults are OpenAI's: no hidden top-k, min-p or repetition penalty.

    `seed` None means a fresh one per request. `logit_bias` keys are ids of `TextRequest.encoding` where that is
    set, else of the model. Penalties count generated tokens only, but for `repetition_penalty`, which divides
    the logits of every token of prompt and output (Keskar et al. 2019, CTRL).
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    seed: int | None = None
    logit_bias: dict[int, float] = {}


class StoppingCriteria(msgspec.Struct, frozen=True):
    """When a choice is finished. `max_tokens` None: to the end of the window; 0: score the prompt only.

    `default_tokens`: at most so many where `max_tokens` is None, fewer where the window has less room.
    """

    max_tokens: int | None = None
    default_tokens: int | None = None
    min_tokens: int = 0
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    ignore_eos: bool = False


class TextRequest(msgspec.Struct, frozen=True, tag="text_request"):
    """One call of completions, chat or edits, for any number of prompts.

    Choices are numbered prompt-major: prompt p's i-th answer is `p * n + i`. `best_of` (>= n, never streamed)
    candidates are drawn per prompt and the n with the highest mean log-probability per token are given out,
    best first. `logprobs` None: none; k: the k likeliest alternatives beside each token's own. `adapter`: what changes
    the model while this request is computed. Nobody waits for one that `is_background`: while there are no others,
    steps are kept short for whoever comes. `quota`: tokens that prompts and answers may take together until more are
    granted (`domain.link.Grant`); None: no limit.
    """

    prompts: tuple[Prompt, ...]
    sampling: SamplingParams = SamplingParams()
    stopping: StoppingCriteria = StoppingCriteria()
    n: int = 1
    best_of: int = 1
    logprobs: int | None = None
    echo: bool = False
    project: str = "local"
    encoding: str | None = None
    is_background: bool = False
    adapter: Adapter | None = None
    quota: int | None = None


class TokenRequest(msgspec.Struct, frozen=True, tag="token_request"):
    """Text or a conversation as token ids, ids as text, or (without a prompt) what the tokeniser is like.

    Nothing is computed. `prompts` holds one at most. `adds_start`: whether a text begins as a document does; `names`:
    whether each token's text is wanted too. `encoding` as in `TextRequest`.
    """

    prompts: tuple[TextPrompt | TokenPrompt | ChatPrompt, ...] = ()
    adds_start: bool = True
    names: bool = False
    encoding: str | None = None
