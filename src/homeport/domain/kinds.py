"""The kinds of models: for each its requests, capabilities, engine options, usage endpoints and starter model.

A new kind is an entry of `KINDS`, its requests in `EngineRequest`, and an engine. Knows nothing of engines or HTTP.
"""

from collections.abc import Mapping

import msgspec

from homeport.domain.embeddings import EmbeddingRequest
from homeport.domain.images import ImageRequest
from homeport.domain.moderation import ModerationRequest
from homeport.domain.music import MusicRequest
from homeport.domain.shapes import ShapeRequest
from homeport.domain.speech import SpeechRequest
from homeport.domain.text import TextRequest, TokenRequest
from homeport.domain.transcription import TranscriptionRequest

TEXT = "text"
EMBEDDINGS = "embeddings"
TRANSCRIPTION = "transcription"
SPEECH = "speech"
MODERATION = "moderation"
IMAGES = "images"
SHAPES = "shapes"
MUSIC = "music"
VISION = "vision"
"""The capability of text models that see pictures."""

IMAGE_EMBEDDINGS = "image_embeddings"
"""The capability of embedding models that also embed images, into the space of their texts."""


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of models.

    `requests`: what their workers accept. `capabilities`: what models of this kind may be able to do.
    `engine_options`: the options that their engines accept, from the settings and from a model's manifest.
    `endpoints`: the values of `UsageRecord.endpoint`; `usage_endpoint`: the name of OpenAI's usage endpoint that sums
    them, None if this server has none. `starters`: the models of the catalogue that are pulled if no model is
    installed; the first one answers to OpenAI's names. A kind without starters has no model until one is pulled.
    """

    name: str
    requests: tuple[type[msgspec.Struct], ...]
    capabilities: tuple[str, ...]
    engine_options: tuple[str, ...]
    endpoints: tuple[str, ...]
    usage_endpoint: str | None
    starters: tuple[str, ...]


_LLAMA_OPTIONS = ("library", "threads", "gpu_layers")
_TEXT_OPTIONS = (
    *("window", "cells", "sequences", "batch", "prefill_slice", "retain", "share_prefixes", "speculate"),
    *("prompts", "prefixes", "prefix_bytes", "costs"),
)

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            name=TEXT,
            requests=(TextRequest, TokenRequest),
            capabilities=("chat", "completions", "edits", "infill", "vision", "audio_input"),
            engine_options=(*_LLAMA_OPTIONS, *_TEXT_OPTIONS),
            endpoints=("chat", "responses", "messages", "completions", "edits"),
            usage_endpoint="completions",
            starters=("qwen2.5-coder-0.5b",),
        ),
        Kind(
            name=TRANSCRIPTION,
            requests=(TranscriptionRequest,),
            capabilities=("transcriptions", "translations"),
            engine_options=("threads",),
            endpoints=("transcribe", "translate"),
            usage_endpoint="audio_transcriptions",
            starters=("whisper-base",),
        ),
        Kind(
            name=EMBEDDINGS,
            requests=(EmbeddingRequest,),
            capabilities=("embeddings", IMAGE_EMBEDDINGS),
            engine_options=_LLAMA_OPTIONS,
            endpoints=("embeddings",),
            usage_endpoint="embeddings",
            starters=("multilingual-e5-small", "homeport-glance-256"),
        ),
        Kind(
            name=MODERATION,
            requests=(ModerationRequest,),
            capabilities=("moderations",),
            engine_options=_LLAMA_OPTIONS,
            endpoints=("moderations",),
            usage_endpoint="moderations",
            starters=("homeport-moderation",),
        ),
        Kind(
            name=SPEECH,
            requests=(SpeechRequest,),
            capabilities=("speech",),
            engine_options=("threads",),
            endpoints=("speech",),
            usage_endpoint="audio_speeches",
            starters=("kokoro-82m",),
        ),
        Kind(
            name=IMAGES,
            requests=(ImageRequest,),
            capabilities=("images", "image_edits", "image_variations"),
            engine_options=("threads", "size", "steps", "guidance", "method"),
            endpoints=("images", "image_edits", "image_variations"),
            usage_endpoint=None,
            starters=("homeport-emoji-128",),
        ),
        Kind(
            name=SHAPES,
            requests=(ShapeRequest,),
            capabilities=("shapes",),
            engine_options=("threads",),
            endpoints=("shapes",),
            usage_endpoint=None,
            starters=(),
        ),
        Kind(
            name=MUSIC,
            requests=(MusicRequest,),
            capabilities=("music",),
            engine_options=_LLAMA_OPTIONS,
            endpoints=("music",),
            usage_endpoint=None,
            starters=("homeport-tunes",),
        ),
    )
}
"""By name. Starters are pulled in this order: the kind that answers soonest comes first."""

STARTERS = tuple(name for kind in KINDS.values() for name in kind.starters)


def kind_of(capability: str) -> Kind:
    """Return the kind whose models can do something. Raises KeyError for an unknown capability."""
    return _BY_CAPABILITY[capability]


_BY_CAPABILITY = {capability: kind for kind in KINDS.values() for capability in kind.capabilities}
