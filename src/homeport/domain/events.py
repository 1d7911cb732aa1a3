"""What a worker reports about a request while it works on it, and the request's cost.

Order for one request: `Admitted`, then the events of its kind (text: `TextDelta` and `ChoiceFinished`; embeddings:
`EmbeddingVectors`; transcription: `RecordingInfo` and `TranscriptSegment`; speech: `AudioChunk`; moderation:
`ModerationVerdict`; images: `ImageProgress` and `GeneratedImage`; tokens: `Tokenised`), then `Done`. `Failed` may come
at any point instead. Nothing follows `Done` or `Failed`. One frame per engine step carries the events of all requests,
so structs are arrays on the wire. Every event costs one credit, except those in `CREDIT_FREE_EVENTS`.
"""

import msgspec

from homeport.domain.errors import ErrorInfo


class AlternativeToken(msgspec.Struct, frozen=True, array_like=True):
    """A token that could have stood here, and its log-probability (natural log, of the raw logits)."""

    token: str
    bytes: bytes
    logprob: float


class ScoredToken(msgspec.Struct, frozen=True, array_like=True):
    """One token with its log-probability; None for the first token of a document.

    `token` is the text, or `bytes:\\xNN…` where the bytes alone are no UTF-8. `offset` counts characters from the
    start of this choice's text (the echoed prompt included). `top` is sorted, likeliest first.
    """

    token: str
    bytes: bytes
    logprob: float | None
    offset: int
    top: tuple[AlternativeToken, ...] = ()


class Usage(msgspec.Struct, frozen=True, array_like=True):
    """Tokens: each prompt counted once, every generated token of every candidate counted."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0


class Admitted(msgspec.Struct, frozen=True, array_like=True, tag="admitted"):
    """All checks passed and work begins; HTTP headers may go out. `prompt_chars[p]`: length of prompt p's text.

    `skipped`: characters of a text to be spoken that no voice can read, each once. `changes`: what was done to a
    conversation that the model's template does not take as it is.
    """

    prompt_tokens: int
    prompt_chars: tuple[int, ...] = ()
    skipped: str = ""
    changes: tuple[str, ...] = ()


class TextDelta(msgspec.Struct, frozen=True, array_like=True, tag="delta"):
    """New text of one choice. Whole characters only; stop strings never show. `text` may be empty with scores.

    `tokens`: how many were generated since the choice's last delta.
    """

    choice: int
    text: str
    scored: tuple[ScoredToken, ...] = ()
    tokens: int = 1


class ChoiceFinished(msgspec.Struct, frozen=True, array_like=True, tag="finished"):
    """One choice is complete. `reason` is `stop` or `length`; `is_cut`: the request's quota was used up."""

    choice: int
    reason: str
    is_cut: bool = False


class QuotaLow(msgspec.Struct, frozen=True, array_like=True, tag="quota_low"):
    """A request will soon have used its quota up: `used` tokens so far, `wanted` are the most it can use beyond it.

    Answered by `domain.link.Grant`; without one it stands still when the quota is used up.
    """

    used: int
    wanted: int


class EmbeddingVectors(msgspec.Struct, frozen=True, array_like=True, tag="vectors"):
    """The embeddings of inputs `index` to `index + count - 1`, each of length 1.

    `data`: `count` rows of `dimensions` little-endian float32.
    """

    index: int
    count: int
    dimensions: int
    data: bytes


class AudioChunk(msgspec.Struct, frozen=True, array_like=True, tag="sound"):
    """More bytes of one encoded sound, 256 kB at most."""

    data: bytes


class RecordingInfo(msgspec.Struct, frozen=True, array_like=True, tag="heard"):
    """What is known of a recording before its first word: the language as an ISO 639-1 code, and the length.

    Where nobody speaks there is no language: it is empty.
    """

    language: str
    seconds: float


class TranscriptWord(msgspec.Struct, frozen=True, array_like=True):
    """One word as it stands in its segment's text, with its times in seconds from the recording's start."""

    word: str
    start: float
    end: float


class TranscriptSegment(msgspec.Struct, frozen=True, array_like=True, tag="segment"):
    """A stretch of a recording and what is said in it. Times are in seconds, `tokens` are the model's own ids.

    `seek` is the place, in hundredths of a second, of the window it was heard in. `words` only where asked for.
    """

    seek: int
    start: float
    end: float
    text: str
    tokens: tuple[int, ...]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    words: tuple[TranscriptWord, ...] = ()


class CategoryScore(msgspec.Struct, frozen=True, array_like=True):
    """One category of a verdict: a score in 0..1, whether it is over the category's threshold, and what was looked at.

    `inputs`: those of `text` and `image` that the input had and that the score takes into account.
    """

    category: str
    score: float
    is_flagged: bool
    inputs: tuple[str, ...]


class ModerationVerdict(msgspec.Struct, frozen=True, array_like=True, tag="verdict"):
    """What was found in input `index`: one judgement for each of `domain.moderation.CATEGORIES`, in that order."""

    index: int
    scores: tuple[CategoryScore, ...]


class ImageProgress(msgspec.Struct, frozen=True, array_like=True, tag="progress"):
    """Step `step` of `steps` of picture `picture` is done. Steps count from 1, pictures from 0."""

    image_index: int
    step: int
    steps: int


class GeneratedImage(msgspec.Struct, frozen=True, array_like=True, tag="picture"):
    """Picture `picture`, as a file's bytes. `partial`: which of the unfinished looks it is, None for the finished one.

    `width` and `height` in pixels.
    """

    image_index: int
    width: int
    height: int
    data: bytes
    partial: int | None = None


class TokenizerFacts(msgspec.Struct, frozen=True):
    """What a model's tokeniser is like: control tokens by name (None where it has none), and its chat template."""

    vocabulary: int
    adds_start: bool
    bos: str | None
    eos: str | None
    unknown: str | None
    padding: str | None
    chat_template: str | None


class Tokenised(msgspec.Struct, frozen=True, array_like=True, tag="tokenised"):
    """The answer to a `TokenRequest`: ids, each one's text where wanted, and the text that they stand for."""

    ids: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    text: str = ""
    facts: TokenizerFacts | None = None


class Done(msgspec.Struct, frozen=True, array_like=True, tag="done"):
    """The whole request is complete."""

    usage: Usage


class Failed(msgspec.Struct, frozen=True, array_like=True, tag="failed"):
    """The request ended without an answer, before or after `Admitted`. `usage` is what was spent until then."""

    fault: ErrorInfo
    usage: Usage = Usage()


Event = (
    Admitted
    | TextDelta
    | ChoiceFinished
    | QuotaLow
    | Tokenised
    | EmbeddingVectors
    | RecordingInfo
    | TranscriptSegment
    | AudioChunk
    | ModerationVerdict
    | ImageProgress
    | GeneratedImage
    | Done
    | Failed
)
CREDIT_FREE_EVENTS = (Admitted, ChoiceFinished, QuotaLow, Done, Failed)
"""The events that cost no credit: there are few of them per request, and they are never held back."""
