"""Every field of every text endpoint, and what is done with it: the one place where this is decided on purpose.

The request structs follow this table, a test holds them and the published specs against it, and the compatibility
page is made from it. Knows nothing of values: ranges are beside the checks.
"""

from collections.abc import Mapping

from homeport.api.compatibility import FieldNote, FieldSupport

_S, _A, _R = FieldSupport.SERVED, FieldSupport.ACCEPTED, FieldSupport.REFUSED

_MODEL = FieldNote("model", _S, "A model's own name, or an OpenAI name that stands for one.")
_TEMPERATURE = FieldNote("temperature", _S, "0 to 2; 0 always takes the likeliest token.")
_TOP_P = FieldNote("top_p", _S, "0 to 1.")

_GENERATION = (
    _MODEL,
    _TEMPERATURE,
    _TOP_P,
    FieldNote("n", _S, "1 to 128; the prompt is computed once."),
    FieldNote("stream", _S, "Server-sent events, ended by `data: [DONE]`."),
    FieldNote("stream_options", _S, "Only with `stream`."),
    FieldNote("stream_options.include_usage", _S, "A last chunk with empty `choices` and the usage."),
    FieldNote("stream_options.include_obfuscation", _S, "Random `obfuscation` in each chunk; off unless asked for."),
    FieldNote("stop", _S, "Up to 4 strings of 1 to 4096 characters; they never show in the text."),
    FieldNote("presence_penalty", _S, "-2 to 2, over generated tokens."),
    FieldNote("frequency_penalty", _S, "-2 to 2, over generated tokens."),
    FieldNote("logit_bias", _S, "-100 to 100 by token id of the name asked for; up to 16,384 entries."),
    FieldNote("seed", _S, "64 bits, signed. The same seed draws the same noise."),
    FieldNote("user", _A, "Up to 1024 characters; identifies your user to you, changes nothing."),
    FieldNote("top_k", _S, "Extension. 0 or -1: off."),
    FieldNote("min_p", _S, "Extension. 0 to 1; 0: off."),
    FieldNote("repetition_penalty", _S, "Extension. Above 0, up to 10, over prompt and output; 1: off."),
    FieldNote("ignore_eos", _S, "Extension. Goes on behind the model's end token."),
    FieldNote("min_tokens", _S, "Extension. No end token before so many."),
    FieldNote("stop_token_ids", _S, "Extension. Up to 128 ids that end the text."),
)

_COMPLETIONS = (
    *_GENERATION,
    FieldNote("prompt", _S, "Text, texts, token ids or arrays of them, up to 2048; none: the start of a document."),
    FieldNote("suffix", _S, "Fills in the middle, on models trained for it. Not with `echo`."),
    FieldNote("max_tokens", _S, "16 unless given; 0 only with `echo`."),
    FieldNote("logprobs", _S, "0 to 5; 0 gives the chosen tokens' alone, without `top_logprobs`."),
    FieldNote("echo", _S, "Gives the prompt back, with `logprobs` scored too."),
    FieldNote("best_of", _S, "1 to 20, at least `n`; never streamed above it. Best mean log-probability first."),
)

_NOT_YET = "Not served yet."

_CHAT = (
    *_GENERATION,
    FieldNote("messages", _S, "1 to 2048."),
    FieldNote("messages.role", _S, "system, developer, user, assistant; tool and function are not served yet."),
    FieldNote("messages.content", _S, "Text, or up to 2048 text parts; an assistant's may be null."),
    FieldNote("messages.name", _S, "Up to 1024 characters; passed to the model's template."),
    FieldNote("messages.refusal", _S, "Stands for an assistant's missing content."),
    FieldNote("messages.audio", _R, "Not served yet; null passes."),
    FieldNote("messages.tool_calls", _R, "Not served yet; null and an empty array pass."),
    FieldNote("messages.tool_call_id", _R, _NOT_YET),
    FieldNote("messages.function_call", _R, "Not served yet; null passes."),
    FieldNote("messages.annotations", _A, "Accepted as in answers, and ignored."),
    FieldNote("messages.parsed", _A, "What the client parsed from an answer; ignored."),
    FieldNote("messages.reasoning_content", _A, "Extension. Accepted and ignored: earlier reasoning is not read."),
    FieldNote("messages.reasoning", _A, "Extension. The same under another name."),
    FieldNote("messages.id", _A, "Of a stored completion's message; ignored."),
    FieldNote("messages.content_parts", _A, "Of a stored completion's message; ignored."),
    FieldNote("max_tokens", _S, "To the end of the window unless given."),
    FieldNote("max_completion_tokens", _S, "Today's name of `max_tokens`; not both."),
    FieldNote("logprobs", _S, "True adds each token's log-probability."),
    FieldNote("top_logprobs", _S, "0 to 20; only with `logprobs`."),
    FieldNote("metadata", _S, "Up to 16 pairs; given back in an answer that is not streamed."),
    FieldNote("service_tier", _A, "auto and default, which are one here; others are refused."),
    FieldNote("safety_identifier", _A, "Up to 64 characters; identifies your user to you, changes nothing."),
    FieldNote(
        "prompt_cache_key", _A, "Up to 1024 characters; changes nothing: shared prefixes are found by their tokens."
    ),
    FieldNote("prompt_cache_retention", _A, "in_memory, which is how prompts are cached; 24h is refused."),
    FieldNote("prompt_cache_options", _A, "Mode implicit and ttl 30m change nothing; others are refused."),
    FieldNote("modalities", _R, "['text'] passes."),
    FieldNote("response_format", _R, "{'type': 'text'} passes."),
    FieldNote("store", _R, "Completions are not stored yet; false passes."),
    FieldNote("verbosity", _R, "medium, the default, passes."),
    FieldNote("parallel_tool_calls", _A, "Without tools there is nothing to do at once."),
    FieldNote("tools", _R, "Not served yet; an empty array passes."),
    FieldNote("tool_choice", _R, "none and auto pass."),
    FieldNote("functions", _R, "Not served yet; an empty array passes."),
    FieldNote("function_call", _R, "none and auto pass."),
    FieldNote("audio", _R, _NOT_YET),
    FieldNote("moderation", _R, _NOT_YET),
    FieldNote("prediction", _R, _NOT_YET),
    FieldNote("reasoning_effort", _R, _NOT_YET),
    FieldNote("web_search_options", _R, "There is no search here."),
)

_EDITS = (
    _MODEL,
    FieldNote("input", _S, "The text to edit; empty unless given. An edit has up to 512 tokens and twice its input's."),
    FieldNote("instruction", _S, "What to do with it."),
    FieldNote("n", _S, "1 to 20."),
    FieldNote("temperature", _S, "0 to 2; above 0 three candidates are drawn per edit and the likeliest given."),
    _TOP_P,
)

FIELDS: Mapping[str, tuple[FieldNote, ...]] = {"completions": _COMPLETIONS, "chat": _CHAT, "edits": _EDITS}
"""By endpoint: the capability's name in `Registry.resolve`."""
