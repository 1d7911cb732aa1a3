"""CFFI declarations of the part of llama.cpp's C API in use, and the detection of its struct layout.

The API has no version number for its structs: a build that adds a field does not announce it, and a wrong layout reads
garbage. But most values of `llama_context_default_params()` are unusual (-1, 512, 2048, a row of true and false). So
`identify` reads the default parameters as raw bytes and chooses the known layout under which all values are right; a
build that fits none is refused.

Knows nothing of where libraries are. Source: include/llama.h, ggml/include/ggml-backend.h (builds 11413 to 11739).
"""

from collections.abc import Mapping
from types import MappingProxyType

import cffi
import msgspec

# Defaults are returned in a struct far larger than any known one, so that a build with more fields does not overrun it.
PROBE = """
typedef struct { uint8_t bytes[1024]; } probe;
probe llama_context_default_params(void);
probe llama_model_default_params(void);
"""

# Both parameter structs end in spare space that only llama.cpp itself fills: fields appended by a later build keep that
# build's defaults. Both are passed as the last argument, where a longer struct does no harm.
_STRUCTS = """
typedef struct llama_model llama_model;
typedef struct llama_context llama_context;
typedef struct llama_vocab llama_vocab;
typedef struct llama_adapter_lora llama_adapter_lora;
typedef void *llama_memory_t;
typedef int32_t llama_token;
typedef void (*ggml_log_callback)(int level, const char *text, void *user_data);

typedef struct {
    void *devices;
    const void *tensor_buft_overrides;
    int32_t n_gpu_layers;
    int32_t split_mode;
    int32_t load_mode;
    int32_t lazy_mode;
    int32_t main_gpu;
    const float *tensor_split;
    void *progress_callback;
    void *progress_callback_user_data;
    const void *kv_overrides;
    bool vocab_only, check_tensors, use_extra_bufts, no_host, no_alloc, load_mtp;
    uint64_t spare[64];
} llama_model_params;

typedef struct {
    uint32_t n_ctx, n_batch, n_ubatch, n_seq_max, n_rs_seq, n_outputs_max, n_outputs_max_per_seq;
    int32_t n_threads, n_threads_batch;
    int32_t ctx_type, rope_scaling_type, pooling_type, attention_type, flash_attn_type;
    float rope_freq_base, rope_freq_scale;
    float yarn_ext_factor, yarn_attn_factor, yarn_beta_fast, yarn_beta_slow;
    uint32_t yarn_orig_ctx;
    float defrag_thold;
    void *cb_eval;
    void *cb_eval_user_data;
    int32_t type_k, type_v;
    %(before_abort)s
    void *abort_callback;
    void *abort_callback_data;
    bool embeddings, offload_kqv, no_perf, op_offload, swa_full, kv_unified;
    void *samplers;
    size_t n_samplers;
    void *ctx_other;
    uint64_t spare[64];
} llama_context_params;

typedef struct {
    int32_t n_tokens;
    llama_token *token;
    float *embd;
    int32_t *pos;
    int32_t *n_seq_id;
    int32_t **seq_id;
    int8_t *logits;
} llama_batch;
"""

_FUNCTIONS = """
void llama_backend_init(void);
void llama_log_set(ggml_log_callback log_callback, void *user_data);
const char *llama_version(void);
const char *llama_print_system_info(void);

llama_model_params llama_model_default_params(void);
llama_context_params llama_context_default_params(void);
llama_model *llama_model_load_from_file(const char *path, llama_model_params params);
void llama_model_free(llama_model *model);
llama_context *llama_init_from_model(llama_model *model, llama_context_params params);
llama_adapter_lora *llama_adapter_lora_init(llama_model *model, const char *path);
void llama_adapter_lora_free(llama_adapter_lora *adapter);
int32_t llama_set_adapters_lora(llama_context *ctx, llama_adapter_lora **adapters, size_t count, float *scales);
void llama_free(llama_context *ctx);
void llama_attach_threadpool(llama_context *ctx, void *threads, void *threads_of_batches);
void llama_detach_threadpool(llama_context *ctx);
void llama_set_n_threads(llama_context *ctx, int32_t n_threads, int32_t n_threads_batch);

uint32_t llama_n_ctx(const llama_context *ctx);
uint32_t llama_n_ctx_seq(const llama_context *ctx);
uint32_t llama_n_batch(const llama_context *ctx);
int32_t llama_model_n_ctx_train(const llama_model *model);
int32_t llama_model_n_embd(const llama_model *model);
int32_t llama_model_n_layer(const llama_model *model);
int32_t llama_model_n_head(const llama_model *model);
int32_t llama_model_n_head_kv(const llama_model *model);
int32_t llama_model_n_swa(const llama_model *model);
int32_t llama_model_n_embd_inp(const llama_model *model);
int llama_model_rope_type(const llama_model *model);
bool llama_model_is_recurrent(const llama_model *model);
bool llama_model_is_hybrid(const llama_model *model);
bool llama_model_has_encoder(const llama_model *model);
bool llama_model_has_decoder(const llama_model *model);
int32_t llama_model_meta_count(const llama_model *model);
int32_t llama_model_meta_key_by_index(const llama_model *model, int32_t i, char *buf, size_t size);
int32_t llama_model_meta_val_str_by_index(const llama_model *model, int32_t i, char *buf, size_t size);

void llama_set_causal_attn(llama_context *ctx, bool causal_attn);
int32_t llama_decode(llama_context *ctx, llama_batch batch);
int32_t llama_encode(llama_context *ctx, llama_batch batch);
int llama_pooling_type(const llama_context *ctx);
float *llama_get_embeddings_seq(llama_context *ctx, int32_t seq);
void llama_memory_clear(llama_memory_t mem, bool data);
float *llama_get_logits(llama_context *ctx);
llama_memory_t llama_get_memory(const llama_context *ctx);
bool llama_memory_seq_rm(llama_memory_t mem, int32_t seq, int32_t p0, int32_t p1);
void llama_memory_seq_cp(llama_memory_t mem, int32_t source, int32_t target, int32_t p0, int32_t p1);
size_t llama_state_seq_get_size(llama_context *ctx, int32_t seq);
size_t llama_state_seq_get_data(llama_context *ctx, uint8_t *target, size_t size, int32_t seq);
size_t llama_state_seq_set_data(llama_context *ctx, const uint8_t *source, size_t size, int32_t seq);

const llama_vocab *llama_model_get_vocab(const llama_model *model);
int32_t llama_vocab_n_tokens(const llama_vocab *vocab);
const char *llama_vocab_get_text(const llama_vocab *vocab, llama_token token);
int llama_vocab_get_attr(const llama_vocab *vocab, llama_token token);
bool llama_vocab_is_eog(const llama_vocab *vocab, llama_token token);
llama_token llama_vocab_bos(const llama_vocab *vocab);
llama_token llama_vocab_eos(const llama_vocab *vocab);
bool llama_vocab_get_add_bos(const llama_vocab *vocab);
llama_token llama_vocab_fim_pre(const llama_vocab *vocab);
llama_token llama_vocab_fim_suf(const llama_vocab *vocab);
llama_token llama_vocab_fim_mid(const llama_vocab *vocab);
llama_token llama_vocab_fim_pad(const llama_vocab *vocab);
llama_token llama_vocab_fim_rep(const llama_vocab *vocab);
llama_token llama_vocab_fim_sep(const llama_vocab *vocab);
int32_t llama_tokenize(const llama_vocab *vocab, const char *text, int32_t length, llama_token *tokens,
                       int32_t n_tokens_max, bool add_special, bool parse_special);
int32_t llama_token_to_piece(const llama_vocab *vocab, llama_token token, char *buf, int32_t length,
                             int32_t lstrip, bool special);
"""

# These functions are in libggml, a separate library in some builds.
BACKENDS = """
void ggml_backend_load_all_from_path(const char *folder);
size_t ggml_backend_dev_count(void);
void *ggml_backend_dev_get(size_t index);
void *ggml_backend_reg_by_name(const char *name);
const char *ggml_backend_dev_name(void *device);
const char *ggml_backend_dev_description(void *device);
int ggml_backend_dev_type(void *device);
void ggml_backend_dev_memory(void *device, size_t *free, size_t *total);
void *ggml_backend_load(const char *path);
"""

GRID_ROPES = (8, 40)
"""The values of `llama_model_rope_type` of models whose positions have four parts (M-RoPE)."""

CONTROL = 1 << 3
"""The bit of `llama_vocab_get_attr` that marks a control token."""

Value = int | float


class StructLayout(msgspec.Struct, frozen=True):
    """One known layout of `llama_context_params`: the fields before `abort_callback`, which differ by build."""

    name: str
    before_abort: str

    @property
    def cdef(self) -> str:
        """The declarations that CFFI needs to call a build of this layout."""
        return _STRUCTS % {"before_abort": self.before_abort} + _FUNCTIONS


LAYOUTS = (
    StructLayout("b11413", ""),
    StructLayout("b11548", "size_t moe_cache_size;"),
)

_CONTEXT_DEFAULTS: Mapping[str, Value] = MappingProxyType(
    {
        "n_ctx": 512,
        "n_batch": 2048,
        "n_ubatch": 512,
        "n_seq_max": 1,
        "n_threads": 4,
        "n_threads_batch": 4,
        "ctx_type": 0,
        "rope_scaling_type": -1,
        "pooling_type": -1,
        "attention_type": -1,
        "flash_attn_type": -1,
        "rope_freq_base": 0.0,
        "rope_freq_scale": 0.0,
        "yarn_ext_factor": -1.0,
        "yarn_attn_factor": -1.0,
        "yarn_beta_fast": -1.0,
        "yarn_beta_slow": -1.0,
        "yarn_orig_ctx": 0,
        "defrag_thold": -1.0,
        "type_k": 1,
        "type_v": 1,
        "embeddings": 0,
        "offload_kqv": 1,
        "no_perf": 1,
        "op_offload": 1,
        "swa_full": 1,
        "kv_unified": 0,
        "n_samplers": 0,
    }
)

_MODEL_DEFAULTS: Mapping[str, Value] = MappingProxyType(
    {
        "n_gpu_layers": -1,
        "split_mode": 1,
        "load_mode": -1,
        "lazy_mode": 1,
        "main_gpu": 0,
        "vocab_only": 0,
        "check_tensors": 0,
        "use_extra_bufts": 1,
        "no_host": 0,
        "no_alloc": 0,
    }
)

_NULL_POINTERS = ("cb_eval", "cb_eval_user_data", "abort_callback", "abort_callback_data", "samplers", "ctx_other")


def _find_wrong_fields(
    ffi: cffi.FFI, raw: bytes, struct: str, expected: Mapping[str, Value], nulls: tuple[str, ...]
) -> list[str]:
    """Return the fields whose value, read with this layout, is not the known default."""
    view = ffi.new(f"{struct} *")
    ffi.memmove(view, raw, min(len(raw), ffi.sizeof(struct)))
    # A bool that is neither 0 nor 1 is a byte of another field. CFFI refuses to read it, so raw bytes are compared.
    flags = {name for name, field in ffi.typeof(struct).fields if field.type.cname == "_Bool"}
    wrong = []
    for name, value in expected.items():
        actual = raw[ffi.offsetof(struct, name)] if name in flags else getattr(view, name)
        if actual != value:
            wrong.append(name)
    wrong.extend(name for name in nulls if getattr(view, name) != ffi.NULL)
    return wrong


def identify(context: bytes, model: bytes) -> tuple[StructLayout | None, str]:
    """Return the layout that fits these raw default parameters, or None and the fields that differ from the nearest."""
    nearest: list[str] | None = None
    for layout in LAYOUTS:
        ffi = cffi.FFI()
        ffi.cdef(layout.cdef)
        wrong = _find_wrong_fields(ffi, context, "llama_context_params", _CONTEXT_DEFAULTS, _NULL_POINTERS)
        wrong += _find_wrong_fields(ffi, model, "llama_model_params", _MODEL_DEFAULTS, ())
        if not wrong:
            return layout, ""
        if nearest is None or len(wrong) < len(nearest):
            nearest = wrong
    return None, ", ".join(nearest or ())
