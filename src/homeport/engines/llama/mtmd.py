"""llama.cpp's `mtmd` library: turns pictures and sound into embeddings for a text model.

It comes with the `xllamacpp` wheel (other kernels lack it) and reads a projector (an `mmproj` GGUF) beside the text
model, of which only the vocabulary and the shapes are loaded. Its API has no version: the default parameters are
compared with the known ones, as `c_api` does for the rest of llama.cpp. Knows nothing of files with pictures.
Source: tools/mtmd/mtmd.h (build 11548).
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from homeport.domain.errors import EngineFailed, Unavailable
from homeport.engines.llama.library import LlamaLibrary

_DECLARATIONS = """
typedef struct {
    bool use_gpu; void *device; bool print_timings; int32_t n_threads; const char *image_marker, *media_marker;
    int32_t flash_attn_type; bool warmup; int32_t image_min_tokens, image_max_tokens; void *cb_eval, *cb_eval_user_data;
    int32_t batch_max_tokens; void *progress_callback, *progress_callback_user_data; uint64_t spare[32];
} mtmd_context_params;
typedef struct { uint8_t bytes[512]; } mtmd_probe;
typedef struct { const char *text; size_t text_len; bool add_special, parse_special; } mtmd_input_text;
typedef struct { uint32_t t, x, y, z; } mtmd_decoder_pos;
mtmd_context_params mtmd_context_params_default(void);
const char *mtmd_default_marker(void);
void mtmd_log_set(void *callback, void *user_data);
void *mtmd_init_from_file(const char *path, void *model, mtmd_context_params params);
void mtmd_free(void *context);
bool mtmd_support_vision(void *context);
bool mtmd_support_audio(void *context);
int mtmd_get_audio_sample_rate(void *context);
bool mtmd_decode_use_mrope(void *context);
bool mtmd_decode_use_non_causal(void *context, void *chunk);
void *mtmd_bitmap_init(uint32_t width, uint32_t height, const uint8_t *rgb);
void *mtmd_bitmap_init_from_audio(size_t n_samples, const float *samples);
void mtmd_bitmap_free(void *bitmap);
void *mtmd_input_chunks_init(void);
size_t mtmd_input_chunks_size(void *chunks);
void *mtmd_input_chunks_get(void *chunks, size_t index);
void mtmd_input_chunks_free(void *chunks);
int mtmd_input_chunk_get_type(void *chunk);
const int32_t *mtmd_input_chunk_get_tokens_text(void *chunk, size_t *count);
void *mtmd_input_chunk_get_tokens_image(void *chunk);
size_t mtmd_input_chunk_get_n_tokens(void *chunk);
int32_t mtmd_input_chunk_get_n_pos(void *chunk);
mtmd_decoder_pos mtmd_image_tokens_get_decoder_pos(void *image, int32_t position, size_t index);
int32_t mtmd_tokenize(void *context, void *chunks, const mtmd_input_text *text, void **bitmaps, size_t count);
int32_t mtmd_encode_chunk(void *context, void *chunk);
float *mtmd_get_output_embd(void *context);
int32_t llama_model_n_embd_inp(void *model);
"""
# The probe is declared apart: a function has one declaration only.
_PROBE = """
typedef struct { uint8_t bytes[512]; } mtmd_probe;
mtmd_probe mtmd_context_params_default(void);
"""
_DEFAULTS: Mapping[str, int] = {
    "use_gpu": 1,
    "print_timings": 1,
    "n_threads": 4,
    "flash_attn_type": -1,
    "warmup": 1,
    "image_min_tokens": -1,
    "image_max_tokens": -1,
    "batch_max_tokens": 1024,
}
_NULL_POINTERS = ("device", "image_marker", "cb_eval", "cb_eval_user_data", "progress_callback")
_FLAGS = frozenset({"use_gpu", "print_timings", "warmup"})
_TEXT, _IMAGE = 0, 1
_FLOAT_BYTES = 4
_NO_MMAP = 0  # the only mode of loading in which weights can be left out


class MediaPiece(msgspec.Struct, frozen=True):
    """A part of what stands for a picture or a sound: `tokens` of the vocabulary, or `n_rows` embeddings.

    `n_positions`: the positions that the embeddings take. `is_causal`: whether they attend only to those before.
    `grid`: the four positions of each embedding relative to the first one's, for models with M-RoPE; else empty.
    """

    tokens: tuple[int, ...] = ()
    n_rows: int = 0
    n_positions: int = 0
    is_causal: bool = True
    grid: tuple[tuple[int, int, int, int], ...] = ()


class Projector:
    """A loaded projector with its text model's vocabulary. Raises Unavailable if they or the library do not fit."""

    def __init__(self, library: LlamaLibrary, weights: Path, projector: Path, threads: int) -> None:
        self._library = library
        self._ffi, self._api = library.own_functions(_DECLARATIONS)
        _check_layout(library, self._ffi, self._api)
        self._api.mtmd_log_set(self._ffi.cast("void *", library.log_callback), self._ffi.NULL)
        self._model = _load_vocabulary(library, weights)
        model = self._ffi.cast("void *", int(library.ffi.cast("uintptr_t", self._model)))
        self.width = int(self._api.llama_model_n_embd_inp(model))
        params = self._api.mtmd_context_params_default()
        params.use_gpu = params.print_timings = params.warmup = False
        params.n_threads = threads
        library.log.take_errors()
        self._context = self._api.mtmd_init_from_file(os.fsencode(projector), model, params)
        if self._context == self._ffi.NULL:
            reason = " ".join(library.log.take_errors().split()) or "no reason given"
            raise Unavailable(f"The projector {projector.name} cannot be used with {weights.name}: {reason}")
        self.sees = bool(self._api.mtmd_support_vision(self._context))
        self.hears = bool(self._api.mtmd_support_audio(self._context))
        self.sample_rate = int(self._api.mtmd_get_audio_sample_rate(self._context)) if self.hears else 0
        self.uses_grid = bool(self._api.mtmd_decode_use_mrope(self._context))
        self._chunks = self._ffi.NULL

    def read_picture(self, width: int, height: int, rgb: bytes) -> list[MediaPiece]:
        """Prepare a picture (height x width x 3 bytes) for `encode`; return what stands for it in a prompt.

        Raises EngineFailed if the library refuses it.
        """
        return self._read(self._api.mtmd_bitmap_init(width, height, self._ffi.from_buffer("uint8_t[]", rgb)))

    def read_sound(self, samples: bytes) -> list[MediaPiece]:
        """Prepare sound (float32, mono, at `sample_rate`) for `encode`, as `read_picture` does."""
        pointer = self._ffi.cast("const float *", self._ffi.from_buffer(samples))
        return self._read(self._api.mtmd_bitmap_init_from_audio(len(samples) // _FLOAT_BYTES, pointer))

    def encode(self) -> bytes:
        """Return the embeddings of what was read last: float32 rows of `width` values, of all its pieces in order.

        Raises EngineFailed if the library fails.
        """
        parts = []
        for chunk in self._list_chunks():
            if self._api.mtmd_input_chunk_get_type(chunk) == _TEXT:
                continue
            if self._api.mtmd_encode_chunk(self._context, chunk) != 0:
                raise EngineFailed(f"mtmd cannot encode this. {self._library.log.take_errors()}".strip())
            size = self._api.mtmd_input_chunk_get_n_tokens(chunk) * self.width * _FLOAT_BYTES
            parts.append(bytes(self._ffi.buffer(self._api.mtmd_get_output_embd(self._context), size)))
        return b"".join(parts)

    def _read(self, bitmap: object) -> list[MediaPiece]:
        if self._chunks != self._ffi.NULL:
            self._api.mtmd_input_chunks_free(self._chunks)
        self._chunks = self._api.mtmd_input_chunks_init()
        marker = self._ffi.string(self._api.mtmd_default_marker())
        text = self._ffi.new("char[]", marker)
        wanted = self._ffi.new("mtmd_input_text *", (text, len(marker), False, True))
        bitmaps = self._ffi.new("void *[]", [bitmap])
        try:
            code = self._api.mtmd_tokenize(self._context, self._chunks, wanted, bitmaps, 1)
        finally:
            self._api.mtmd_bitmap_free(bitmap)
        if code != 0:
            raise EngineFailed(f"mtmd refused it (code {code}). {self._library.log.take_errors()}".strip())
        return [self._piece(chunk) for chunk in self._list_chunks()]

    def _list_chunks(self) -> Sequence[object]:
        count = self._api.mtmd_input_chunks_size(self._chunks)
        return [self._api.mtmd_input_chunks_get(self._chunks, index) for index in range(count)]

    def _piece(self, chunk: object) -> MediaPiece:
        kind = self._api.mtmd_input_chunk_get_type(chunk)
        if kind == _TEXT:
            count = self._ffi.new("size_t *")
            tokens = self._api.mtmd_input_chunk_get_tokens_text(chunk, count)
            return MediaPiece(tokens=tuple(self._ffi.unpack(tokens, count[0])))
        n_rows = int(self._api.mtmd_input_chunk_get_n_tokens(chunk))
        return MediaPiece(
            n_rows=n_rows,
            n_positions=int(self._api.mtmd_input_chunk_get_n_pos(chunk)),
            is_causal=not self._api.mtmd_decode_use_non_causal(self._context, chunk),
            grid=self._grid(chunk, n_rows, is_image=kind == _IMAGE) if self.uses_grid else (),
        )

    def _grid(self, chunk: object, n_rows: int, *, is_image: bool) -> tuple[tuple[int, int, int, int], ...]:
        """Return the positions in the order of llama.cpp's batches: time, row, column, and one that is not used."""
        if not is_image:
            return tuple((index, index, index, 0) for index in range(n_rows))
        image = self._api.mtmd_input_chunk_get_tokens_image(chunk)
        places = (self._api.mtmd_image_tokens_get_decoder_pos(image, 0, index) for index in range(n_rows))
        return tuple((place.t, place.y, place.x, place.z) for place in places)


def _check_layout(library: LlamaLibrary, ffi: Any, api: Any) -> None:
    missing = [name for name in dir(api) if not hasattr(api, name)]
    if missing:
        raise Unavailable(f"{library.path} does not export {', '.join(missing)}, so no pictures can be read.")
    probe, functions = library.own_functions(_PROBE)
    raw = bytes(probe.buffer(probe.new("mtmd_probe *", functions.mtmd_context_params_default())))
    params = ffi.new("mtmd_context_params *")
    ffi.memmove(params, raw, min(len(raw), ffi.sizeof("mtmd_context_params")))
    # A bool that is neither 0 nor 1 is a byte of another field, and CFFI refuses to read it.
    actual = {
        name: raw[ffi.offsetof("mtmd_context_params", name)] if name in _FLAGS else getattr(params, name)
        for name in _DEFAULTS
    }
    wrong = [name for name, value in _DEFAULTS.items() if actual[name] != value]
    wrong += [name for name in _NULL_POINTERS if getattr(params, name) != ffi.NULL]
    if wrong or params.media_marker == ffi.NULL:
        raise Unavailable(
            f"The parameters of mtmd in {library.path} are unknown ({', '.join(wrong) or 'media_marker'}): no pictures "
            "can be read. Install the version of xllamacpp that Homeport names."
        )


def _load_vocabulary(library: LlamaLibrary, weights: Path) -> object:
    """Load a text model without its weights. Raises Unavailable if llama.cpp refuses it."""
    params = library.api.llama_model_default_params()
    params.no_alloc, params.load_mode = True, _NO_MMAP
    params.n_gpu_layers = 0
    library.log.take_errors()
    model = library.api.llama_model_load_from_file(os.fsencode(weights), params)
    if model == library.ffi.NULL:
        raise Unavailable(f"{weights.name} cannot be loaded: {library.log.take_errors() or 'no reason given'}")
    return model
