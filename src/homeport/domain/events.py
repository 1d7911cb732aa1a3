"""What a worker reports about a request while it works on it, and the request's cost.

Order for one request: `Admitted`, then the events of its kind (text: `TextDelta`, `ReasoningDelta`, `ToolCallDelta` and
`ChoiceFinished`; embeddings: `EmbeddingVectors`, or `TokenCounts`; transcription: `RecordingInfo` and
`TranscriptSegment`; speech: `AudioChunk`; moderation: `ModerationVerdict`; images: `ImageProgress` and
`GeneratedImage`; shapes: `ShapeProgress` and `GeneratedShape`; music: `MusicProgress`, `AudioChunk` and
`MusicFinished`; tokens: `TokenizeResult`), then `Done`. `Failed` may replace the rest at any point. Nothing follows
`Done` or `Failed`. One frame per engine step carries the events of all requests, so structs are arrays on the wire.
Every event costs one credit, except those in `CREDIT_FREE_EVENTS`.
"""

import msgspec
from msgspec.structs import astuple

from homeport.domain.errors import ErrorInfo


class AlternativeToken(msgspec.Struct, frozen=True, array_like=True):
    """A token that could have been generated at this position; `logprob` is the natural log, of the raw logits."""

    token: str
    bytes: bytes
    logprob: float


class ScoredToken(msgspec.Struct, frozen=True, array_like=True):
    """One token with its log-probability; None for the first token of a document.

    `token` is the text, or `bytes:\\xNN…` if the bytes alone are not valid UTF-8. `offset` counts characters from the
    start of this choice's text (the echoed prompt included). `top` is sorted by descending probability.
    """

    token: str
    bytes: bytes
    logprob: float | None
    offset: int
    top: tuple[AlternativeToken, ...] = ()


class Usage(msgspec.Struct, frozen=True, array_like=True):
    """Token counts: each prompt counts once, every generated token of every candidate counts.

    Of the completion's tokens, `reasoning_tokens` are the model's reasoning, and `accepted_tokens` were predicted by
    the caller; `rejected_tokens` of the prediction were computed in vain and are no part of the completion.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    accepted_tokens: int = 0
    rejected_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(*(mine + its for mine, its in zip(astuple(self), astuple(other), strict=True)))


class Admitted(msgspec.Struct, frozen=True, array_like=True, tag="admitted"):
    """All checks passed and work begins; HTTP headers may be sent. `prompt_chars[p]`: length of prompt p's text.

    `skipped`: characters that no voice can pronounce, each once. `changes`: how a conversation was rewritten because
    the model's template does not accept it as it is.
    """

    prompt_tokens: int
    prompt_chars: tuple[int, ...] = ()
    skipped: str = ""
    changes: tuple[str, ...] = ()


class TextDelta(msgspec.Struct, frozen=True, array_like=True, tag="delta"):
    """New text of one choice: whole characters only, never part of a stop string. `text` may be empty with scores.

    `tokens`: how many were generated since the choice's last delta.
    """

    choice: int
    text: str
    scored: tuple[ScoredToken, ...] = ()
    tokens: int = 1


class ReasoningDelta(msgspec.Struct, frozen=True, array_like=True, tag="reasoning_delta"):
    """New text that the model wrote before the answer of one choice. `tokens` as in `TextDelta`."""

    choice: int
    text: str
    tokens: int = 1


class ToolCallDelta(msgspec.Struct, frozen=True, array_like=True, tag="tool_call_delta"):
    """More of tool call `index` of one choice. `tokens` as in `TextDelta`.

    `id` and `name` are set in its first delta and empty in the others. `arguments`: the next piece of its JSON, or of a
    custom tool's input.
    """

    choice: int
    index: int
    id: str
    name: str
    arguments: str
    tokens: int = 1


class AudioDelta(msgspec.Struct, frozen=True, array_like=True, tag="audio_delta"):
    """More bytes of the spoken answer of one choice."""

    choice: int
    data: bytes


Delta = TextDelta | ReasoningDelta | ToolCallDelta | AudioDelta
"""The pieces of a choice. `Event` has those that engines send and writers write: a test compares the two."""


class ChoiceFinished(msgspec.Struct, frozen=True, array_like=True, tag="finished"):
    """One choice is complete. `reason`: `stop`, `length` or `tool_calls`; `is_cut`: the request's quota was used up.

    `stop`: the stop string that ended it; empty if something else did.
    """

    choice: int
    reason: str
    is_cut: bool = False
    stop: str = ""


class QuotaLow(msgspec.Struct, frozen=True, array_like=True, tag="quota_low"):
    """A request's quota is nearly used up: `used` tokens so far; at most `wanted` more than granted can be used.

    `domain.worker_messages.Grant` is the reply; without one the request pauses when the quota is used up.
    """

    used: int
    wanted: int


class EmbeddingVectors(msgspec.Struct, frozen=True, array_like=True, tag="vectors"):
    """The embeddings of inputs `index` to `index + count - 1`, each normalized to length 1.

    `data`: `count` rows of `dimensions` little-endian float32.
    """

    index: int
    count: int
    dimensions: int
    data: bytes


class TokenCounts(msgspec.Struct, frozen=True, array_like=True, tag="counts"):
    """The number of tokens of each input, and of the longest text that can be embedded as a document.

    Neither counts what is added to a text: a prefix, and the tokens around it.
    """

    counts: tuple[int, ...]
    most: int


class AudioChunk(msgspec.Struct, frozen=True, array_like=True, tag="sound"):
    """The next bytes of one encoded audio file, at most 256 kB."""

    data: bytes


class RecordingInfo(msgspec.Struct, frozen=True, array_like=True, tag="heard"):
    """Facts about a recording, before its first word: the language as an ISO 639-1 code, and the length.

    The language is empty if the recording has no speech.
    """

    language: str
    seconds: float


class TranscriptWord(msgspec.Struct, frozen=True, array_like=True):
    """One word as in its segment's text, with its times in seconds from the start of the recording."""

    word: str
    start: float
    end: float


class TranscriptSegment(msgspec.Struct, frozen=True, array_like=True, tag="segment"):
    """A span of a recording and its text. Times are in seconds, `tokens` are the model's own ids.

    `seek` is the start of the window that it was decoded in, in hundredths of a second. `words` only if requested.
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
    """One category of a verdict: a score in 0..1 and whether it exceeds the category's threshold.

    `inputs`: which of `text` and `image` the input has and the score takes into account.
    """

    category: str
    score: float
    is_flagged: bool
    inputs: tuple[str, ...]


class ModerationVerdict(msgspec.Struct, frozen=True, array_like=True, tag="verdict"):
    """The verdict on input `index`: one score for each of `domain.moderation.CATEGORIES`, in that order."""

    index: int
    scores: tuple[CategoryScore, ...]


class ImageProgress(msgspec.Struct, frozen=True, array_like=True, tag="progress"):
    """Step `step` of `steps` of image `image_index` is done. Steps count from 1, images from 0."""

    image_index: int
    step: int
    steps: int


class GeneratedImage(msgspec.Struct, frozen=True, array_like=True, tag="picture"):
    """Image `image_index`, as a file's bytes. `partial`: the number of this partial image; None for the final one.

    `width` and `height` in pixels. `revised_prompt`: what is drawn, as text; None if it is the prompt.
    """

    image_index: int
    width: int
    height: int
    data: bytes
    partial: int | None = None
    revised_prompt: str | None = None


class ShapeProgress(msgspec.Struct, frozen=True, array_like=True, tag="shape_progress"):
    """Step `step` of `steps` of shape `shape_index` is done. Steps count from 1, shapes from 0."""

    shape_index: int
    step: int
    steps: int


class GeneratedShape(msgspec.Struct, frozen=True, array_like=True, tag="shape"):
    """Shape `shape_index`, as a file's bytes. `triangles`: 0 for a cloud of `points`, which are else its vertices.

    `preview`: a picture of it as a PNG file; empty if none was asked for.
    """

    shape_index: int
    data: bytes
    points: int
    triangles: int
    preview: bytes = b""


class MusicProgress(msgspec.Struct, frozen=True, array_like=True, tag="music_progress"):
    """Piece `index`, counted from 0: `seconds` of it are ready, of `total_seconds` at least, which may grow.

    `bars`: those that are composed, if the model composes. `step`: the one of `steps` that is done, if it generates.
    """

    index: int
    bars: int | None
    seconds: float
    total_seconds: float
    step: int | None = None
    steps: int | None = None


class MusicFinished(msgspec.Struct, frozen=True, array_like=True, tag="music_finished"):
    """Piece `index` is complete: all `AudioChunk` since the piece before are its file.

    `seconds`: its length. What it is: `seed`, `genre`, `key` (as `D minor`), `bpm` (musicians' beats a minute) and
    `time_signature` (as `6/8`); None: the model does not say.
    """

    index: int
    seconds: float
    seed: int
    genre: str | None
    key: str | None
    bpm: float | None
    time_signature: str | None


class TokenizerFacts(msgspec.Struct, frozen=True):
    """Facts about a model's tokenizer: control tokens by name (None if it has none), and its chat template."""

    vocabulary: int
    adds_start: bool
    bos: str | None
    eos: str | None
    unknown: str | None
    padding: str | None
    chat_template: str | None


class TokenizeResult(msgspec.Struct, frozen=True, array_like=True, tag="tokenised"):
    """The answer to a `TokenRequest`: ids, each one's text if requested, and the text of all of them."""

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
    | ReasoningDelta
    | ToolCallDelta
    | ChoiceFinished
    | QuotaLow
    | TokenizeResult
    | EmbeddingVectors
    | TokenCounts
    | RecordingInfo
    | TranscriptSegment
    | AudioChunk
    | ModerationVerdict
    | ImageProgress
    | GeneratedImage
    | ShapeProgress
    | GeneratedShape
    | MusicProgress
    | MusicFinished
    | Done
    | Failed
)
CREDIT_FREE_EVENTS = (Admitted, ChoiceFinished, QuotaLow, Done, Failed)
"""Events that cost no credit: each request has few of them, and they are never held back."""
