"""Every field of the image endpoints, and what is done with it. Knows nothing of values."""

from collections.abc import Mapping

from homeport.api.compatibility import FieldNote, FieldSupport

_S, _A, _R = FieldSupport.SERVED, FieldSupport.ACCEPTED, FieldSupport.REFUSED

_MODEL = FieldNote(
    "model",
    _S,
    "A model's own name, or an OpenAI name that stands for one. None: dall-e-2, or with a field that only today's "
    "models have, gpt-image-1.",
)
_N = FieldNote("n", _S, "1 to 10, each with a seed of its own; 1 under dall-e-3.")
_SIZE = FieldNote("size", _S, "OpenAI's sizes under its names, else any of 64 to 2048 pixels an edge; `1024*1024` too.")
_RESPONSE_FORMAT = FieldNote(
    "response_format",
    _S,
    "url (served by this server for an hour) or b64_json. Default: url under dall-e-2 and dall-e-3, else b64_json.",
)
_USER = FieldNote("user", _A, "Nothing is done with it.")
_SEED = FieldNote("seed", _S, "0 to 2^32 - 1; the same seed paints the same picture.")
_STEPS = FieldNote("steps", _S, "1 to what the model takes; default: what it was made for.")
_STRENGTH = FieldNote("strength", _S, "0 to 1: how far from the image it may go.")

_PROMPTED = (
    FieldNote("prompt", _S, "1,000 characters under dall-e-2, 4,000 under dall-e-3, else 32,000."),
    _MODEL,
    _N,
    _SIZE,
    _RESPONSE_FORMAT,
    _USER,
    FieldNote("quality", _S, "low takes half the steps, high and hd twice as many."),
    FieldNote("background", _R, "Pictures are painted without transparency; auto and opaque pass."),
    FieldNote("output_format", _S, "png, jpeg or webp."),
    FieldNote("output_compression", _S, "0 to 100, with jpeg and webp."),
    FieldNote("stream", _S, "Each picture as an event when it is done; ended by `data: [DONE]`."),
    FieldNote("partial_images", _S, "0 to 3 unfinished looks, with stream, where the model can show them."),
    _SEED,
    _STEPS,
    FieldNote("guidance", _S, "1 to 30: how closely the prompt is followed."),
    FieldNote("negative_prompt", _S, "What to leave out, where guidance is above 1."),
    FieldNote("progress", _S, "With stream: an event after every step."),
    FieldNote("moderation", _A, "Nothing is filtered here, so low and auto are the same."),
)

_GENERATION = (
    *_PROMPTED,
    FieldNote("style", _R, "The models here have no style of their own; vivid, the default, passes."),
)

_EDIT = (
    FieldNote("image", _S, "PNG, also JPEG and WebP but under DALL·E's names; one. Square and below 4 MB under these."),
    FieldNote("images", _S, "The same in a JSON body: a list of one data: URL. File ids and remote URLs are refused."),
    FieldNote(
        "mask", _S, "PNG; its fully transparent pixels are repainted, all others stay. None: the image's own alpha."
    ),
    *_PROMPTED,
    FieldNote("input_fidelity", _R, "Kept pixels are kept exactly; low, the default, passes."),
    _STRENGTH,
)

_VARIATION = (
    FieldNote("image", _S, "A square PNG below 4 MB."),
    _MODEL,
    _N,
    _SIZE,
    _RESPONSE_FORMAT,
    _USER,
    _SEED,
    _STEPS,
    _STRENGTH,
)

FIELDS: Mapping[str, tuple[FieldNote, ...]] = {
    "images": _GENERATION,
    "image_edits": _EDIT,
    "image_variations": _VARIATION,
}
"""By endpoint: the capability's name in `Registry.resolve`."""
