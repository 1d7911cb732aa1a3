"""The requests to a text engine. Values only: `api` builds them, a worker reads them.

Knows nothing of JSON field names, HTTP or tokenizers. `api` has checked the ranges; the worker checks what needs the
model (window, vocabulary, template, fill-in-the-middle).
"""

import msgspec

from homeport.domain.content import Message
from homeport.domain.models import Adapter
from homeport.domain.tools import OutputFormat, Reasoning, ToolUse


class TextPrompt(msgspec.Struct, frozen=True, tag="text"):
    """Plain text after the start of a document. Never wrapped in a template."""

    text: str


class TokenPrompt(msgspec.Struct, frozen=True, tag="tokens"):
    """Token ids: of `TextRequest.encoding` if set, else of the model's own vocabulary."""

    ids: tuple[int, ...]


class EmptyPrompt(msgspec.Struct, frozen=True, tag="start"):
    """No prompt: generate from the start of a new document."""


class InfillPrompt(msgspec.Struct, frozen=True, tag="infill"):
    """Generate the text between `prefix` and `suffix`, with the model's own FIM tokens."""

    prefix: TextPrompt | TokenPrompt | EmptyPrompt
    suffix: str


class ChatPrompt(msgspec.Struct, frozen=True, tag="chat"):
    """A conversation, rendered with the model's own template.

    `tools` None: the caller declares none. `prediction`: text that the answer is likely to repeat. `drops_oldest`: if
    it does not fit in the window, the oldest turns are dropped; otherwise it is refused. `param` names it in errors.
    """

    messages: tuple[Message, ...]
    tools: ToolUse | None = None
    reasoning: Reasoning = Reasoning()
    prediction: str = ""
    drops_oldest: bool = False
    param: str = "messages"


class EditPrompt(msgspec.Struct, frozen=True, tag="edit"):
    """Rewrite `input` according to `instruction`; only the rewritten text is returned."""

    input: str
    instruction: str


Prompt = TextPrompt | TokenPrompt | EmptyPrompt | InfillPrompt | ChatPrompt | EditPrompt


class SamplingParams(msgspec.Struct, frozen=True):
    """How the next token is sampled. Defaults are OpenAI's: no hidden top-k, min-p or repetition penalty.

    `seed` None: a random one per request. `logit_bias` keys are ids of `TextRequest.encoding` if set, else of the
    model. Penalties count generated tokens only, except `repetition_penalty`, which divides the logits of every token
    of prompt and output (Keskar et al. 2019, CTRL).
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
    """When a choice ends. `max_tokens` None: at the end of the window; 0: score the prompt only.

    `default_tokens`: the limit if `max_tokens` is None, lower if the window has less room.
    """

    max_tokens: int | None = None
    default_tokens: int | None = None
    min_tokens: int = 0
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    ignore_eos: bool = False


class TextRequest(msgspec.Struct, frozen=True, tag="text_request"):
    """One request of completions, chat or edits, for any number of prompts.

    Choices are numbered prompt-major: prompt p's i-th answer is `p * n + i`. `best_of` (>= n, never streamed)
    candidates are sampled per prompt, and the n with the highest mean log-probability per token are returned, best
    first. `logprobs` None: none; k: the k most likely alternatives in addition to each token's own. `adapter`: loaded
    while this request is computed. `is_background`: no caller waits for it; when only these run, steps stay short so
    that a foreground request starts soon. `quota`: tokens that prompts and answers may use together until more are
    granted (`domain.worker_messages.Grant`); None: no limit. `output_format` None: any text.
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
    output_format: OutputFormat | None = None


class TokenRequest(msgspec.Struct, frozen=True, tag="token_request"):
    """Asks for text or a conversation as token ids, ids as text, or (without a prompt) facts about the tokenizer.

    Nothing is computed. `prompts` holds at most one. `adds_start`: whether the ids of a text begin with the start of a
    document; `names`: whether each token's text is returned too. `encoding` as in `TextRequest`.
    """

    prompts: tuple[TextPrompt | TokenPrompt | ChatPrompt, ...] = ()
    adds_start: bool = True
    names: bool = False
    encoding: str | None = None
