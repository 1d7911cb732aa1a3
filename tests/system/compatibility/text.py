"""For every served field of the text endpoints: a value that changes the answer, and the change to check."""

import json
from collections.abc import Mapping
from typing import Any

from tests.system.compatibility.field_trials import Effect, EndpointTrial, Probes

MODEL = "smollm2-135m"
FIM = "qwen2.5-coder-0.5b"
LOOP = "na na na na na na na na na na na na"


class TextTrial(EndpointTrial):
    """Requests texts."""

    def text(self, **changed: Any) -> str:
        """Return the first choice's text."""
        return self.texts(**changed)[0]

    def texts(self, **changed: Any) -> list[str]:
        """Return the texts of all choices."""
        choices = self.ask(**changed)["choices"]
        return [c["message"]["content"] if "message" in c else c["text"] for c in choices]

    def loop(self) -> dict[str, Any]:
        """Return changes that make greedy decoding repeat itself."""
        if "messages" in self.probes.plain:
            return {"messages": [{"role": "user", "content": f"Repeat for ever: {LOOP}"}], "max_tokens": 40}
        return {"prompt": LOOP, "max_tokens": 24}


def _model(desk: TextTrial) -> None:
    answer = desk.raw(model="gpt-3.5-turbo")
    assert answer.headers["x-homeport-model"] == MODEL
    assert answer.json().get("model", "gpt-3.5-turbo") == "gpt-3.5-turbo", "edits of 2023 name no model"
    assert desk.raw(model="nobody").status == 404


def _prompt(desk: TextTrial) -> None:
    assert len(desk.texts(prompt=["One", "Two", "Three"])) == 3


def _messages(desk: TextTrial) -> None:
    assert desk.text(messages=[{"role": "user", "content": "Count from one to ten."}]) != desk.text()


def _max_tokens(desk: TextTrial) -> None:
    assert desk.ask(max_tokens=3)["usage"]["completion_tokens"] == 3


def _max_completion_tokens(desk: TextTrial) -> None:
    assert desk.ask(max_tokens=..., max_completion_tokens=3)["usage"]["completion_tokens"] == 3


def _temperature(desk: TextTrial) -> None:
    assert desk.texts(temperature=2, n=4) != desk.texts(n=4)


def _edit_temperature(desk: TextTrial) -> None:
    wish = {"input": "", "instruction": "Write one short sentence about rain.", "n": 4}
    assert len(set(desk.texts(**wish))) == 1
    assert len(set(desk.texts(**wish, temperature=1.2))) > 1


def _top_p(desk: TextTrial) -> None:
    assert desk.text(temperature=2, top_p=0) == desk.text()


def _n(desk: TextTrial) -> None:
    assert [choice["index"] for choice in desk.ask(n=3)["choices"]] == [0, 1, 2]


def _stream(desk: TextTrial) -> None:
    answer = desk.raw(stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.body.rstrip().endswith(b"data: [DONE]")


def _stream_options(desk: TextTrial) -> None:
    answer = desk.raw(stream=True, stream_options={"include_usage": True})
    last = answer.body.decode().strip().split("\n\n")[-2]
    assert json.loads(last.removeprefix("data: "))["usage"]["completion_tokens"] > 0


def _obfuscation(desk: TextTrial) -> None:
    answer = desk.raw(stream=True, stream_options={"include_obfuscation": True})
    chunks = answer.body.decode().strip().split("\n\n")[:-1]
    assert all(json.loads(chunk.removeprefix("data: "))["obfuscation"] for chunk in chunks)


def _logprobs(desk: TextTrial) -> None:
    scores = desk.ask(logprobs=2)["choices"][0]["logprobs"]
    assert all(2 <= len(top) <= 3 for top in scores["top_logprobs"])


def _chat_logprobs(desk: TextTrial) -> None:
    assert desk.ask()["choices"][0]["logprobs"] is None
    assert desk.ask(logprobs=True)["choices"][0]["logprobs"]["content"]


def _top_logprobs(desk: TextTrial) -> None:
    content = desk.ask(logprobs=True, top_logprobs=7)["choices"][0]["logprobs"]["content"]
    assert {len(entry["top_logprobs"]) for entry in content} == {7}


def _echo(desk: TextTrial) -> None:
    assert desk.text(echo=True) == desk.probes.plain["prompt"] + desk.text()


def _stop(desk: TextTrial) -> None:
    text = desk.text()
    stop = text[4:7]
    assert desk.text(stop=[stop]) == text[: text.index(stop)]


def _penalty(field: str) -> Effect:
    def effect(desk: TextTrial) -> None:
        assert desk.text(**desk.loop(), **{field: 2}) != desk.text(**desk.loop())

    return effect


def _best_of(desk: TextTrial) -> None:
    answer = desk.ask(best_of=3, temperature=1, ignore_eos=True)
    assert len(answer["choices"]) == 1
    assert answer["usage"]["completion_tokens"] == 3 * 8


def _logit_bias(desk: TextTrial) -> None:
    forced = desk.text(logit_bias={"1000": 100}, max_tokens=2)
    assert desk.text(logit_bias={"1000": 100}, max_tokens=1) * 2 == forced


def _seed(desk: TextTrial) -> None:
    first = desk.texts(temperature=1.5, seed=4, n=3)
    assert desk.texts(temperature=1.5, seed=4, n=3) == first
    assert desk.texts(temperature=1.5, seed=5, n=3) != first


def _suffix(desk: TextTrial) -> None:
    wish = {"prompt": "def double(x):\n    ", "max_tokens": 12, "model": FIM}
    assert desk.text(**wish, suffix="\n\nassert double(2) == 4") != desk.text(**wish)


def _narrow(field: str, value: float) -> Effect:
    def effect(desk: TextTrial) -> None:
        assert desk.text(temperature=2, **{field: value}) == desk.text()

    return effect


def _ignore_eos(desk: TextTrial) -> None:
    if "messages" in desk.probes.plain:
        wish = {"messages": [{"role": "user", "content": "Say only: ok"}], "max_tokens": 120}
        assert desk.ask(**wish, ignore_eos=True)["usage"]["completion_tokens"] == 120
        assert desk.ask(**wish)["usage"]["completion_tokens"] < 120
    else:
        answer = desk.ask(ignore_eos=True, logit_bias={"2": 100})
        assert answer["usage"]["completion_tokens"] == 8


def _min_tokens(desk: TextTrial) -> None:
    assert desk.ask(logit_bias={"2": 100}, min_tokens=0)["usage"]["completion_tokens"] == 0
    assert desk.ask(logit_bias={"2": 90}, min_tokens=5)["usage"]["completion_tokens"] >= 5


def _stop_token_ids(desk: TextTrial) -> None:
    scored = desk.ask(logit_bias={"1000": 100}, stop_token_ids=[1000])
    assert scored["usage"]["completion_tokens"] == 0
    assert scored["choices"][0]["finish_reason"] == "stop"


def _roles(desk: TextTrial) -> None:
    ask = {"role": "user", "content": "Say something about rain."}
    said = [desk.text(messages=[{"role": role, "content": "Speak of frogs."}, ask]) for role in ("system", "assistant")]
    assert len({*said, desk.text()}) == 3


def _name(desk: TextTrial) -> None:
    plain = {"role": "user", "content": "Say something about rain."}
    named = desk.ask(messages=[{**plain, "name": "alice"}])["usage"]["prompt_tokens"]
    assert named > desk.ask(messages=[plain])["usage"]["prompt_tokens"]


def _refusal(desk: TextTrial) -> None:
    ask = {"role": "user", "content": "Say something about rain."}
    refused = {"role": "assistant", "content": None, "refusal": "I will not speak of frogs."}
    with_it = desk.ask(messages=[ask, refused, ask])["usage"]["prompt_tokens"]
    assert with_it > desk.ask(messages=[ask, {**refused, "refusal": "No."}, ask])["usage"]["prompt_tokens"]


def _metadata(desk: TextTrial) -> None:
    assert desk.ask(metadata={"a": "b"})["metadata"] == {"a": "b"}


def _input(desk: TextTrial) -> None:
    assert (
        desk.ask(input="a much longer text than before, said twice, said twice")["usage"]["prompt_tokens"]
        > (desk.ask()["usage"]["prompt_tokens"])
    )


def _instruction(desk: TextTrial) -> None:
    assert (
        desk.ask(instruction="Translate it to French, please, and keep it short")["usage"]["prompt_tokens"]
        > (desk.ask()["usage"]["prompt_tokens"])
    )


_BOTH: dict[str, Effect] = {
    "model": _model,
    "temperature": _temperature,
    "top_p": _top_p,
    "n": _n,
}
_TEXT: dict[str, Effect] = {
    **_BOTH,
    "max_tokens": _max_tokens,
    "stream": _stream,
    "stream_options": _stream_options,
    "stream_options.include_usage": _stream_options,
    "stream_options.include_obfuscation": _obfuscation,
    "stop": _stop,
    "presence_penalty": _penalty("presence_penalty"),
    "frequency_penalty": _penalty("frequency_penalty"),
    "repetition_penalty": _penalty("repetition_penalty"),
    "logit_bias": _logit_bias,
    "seed": _seed,
    "top_k": _narrow("top_k", 1),
    "min_p": _narrow("min_p", 1.0),
    "ignore_eos": _ignore_eos,
    "min_tokens": _min_tokens,
    "stop_token_ids": _stop_token_ids,
}
_COMPLETIONS: dict[str, Effect] = {
    **_TEXT,
    "prompt": _prompt,
    "suffix": _suffix,
    "logprobs": _logprobs,
    "echo": _echo,
    "best_of": _best_of,
}
_CHAT: dict[str, Effect] = {
    **_TEXT,
    "messages": _messages,
    "messages.role": _roles,
    "messages.content": _messages,
    "messages.name": _name,
    "messages.refusal": _refusal,
    "metadata": _metadata,
    "max_completion_tokens": _max_completion_tokens,
    "logprobs": _chat_logprobs,
    "top_logprobs": _top_logprobs,
}
_EDITS: dict[str, Effect] = {**_BOTH, "temperature": _edit_temperature, "input": _input, "instruction": _instruction}

_ACCEPTED: dict[str, Any] = {
    "user": "someone",
    "service_tier": "auto",
    "safety_identifier": "someone",
    "prompt_cache_key": "a key",
    "prompt_cache_retention": "in_memory",
    "prompt_cache_options": {"mode": "implicit", "ttl": "30m"},
    "parallel_tool_calls": True,
}
_ASK = {"role": "user", "content": "hi"}
_TAKEN_BACK: dict[str, Any] = {
    "annotations": [],
    "parsed": {"answer": 42},
    "reasoning_content": "Hm.",
    "reasoning": "Hm.",
    "id": "chatcmpl-1-0",
    "content_parts": None,
}
_SENT_BACK: dict[str, Any] = {
    f"messages.{name}": {"messages": [_ASK, {"role": "assistant", "content": "hello", name: value}, _ASK]}
    for name, value in _TAKEN_BACK.items()
}
_FUNCTION = {"name": "f", "parameters": {"type": "object", "properties": {}}}
_CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
_REFUSED: dict[str, dict[str, Any]] = {
    "messages.audio": {"messages": [_ASK, {"role": "assistant", "audio": {"id": "audio_1"}}]},
    "messages.tool_calls": {"messages": [_ASK, {"role": "assistant", "content": None, "tool_calls": [_CALL]}]},
    "messages.tool_call_id": {"messages": [_ASK, {"role": "tool", "content": "x", "tool_call_id": "call_1"}]},
    "messages.function_call": {
        "messages": [_ASK, {"role": "assistant", "content": None, "function_call": _CALL["function"]}]
    },
    "modalities": {"modalities": ["text", "audio"]},
    "response_format": {"response_format": {"type": "json_object"}},
    "store": {"store": True},
    "verbosity": {"verbosity": "low"},
    "tools": {"tools": [{"type": "function", "function": _FUNCTION}]},
    "tool_choice": {"tool_choice": "required"},
    "functions": {"functions": [_FUNCTION]},
    "function_call": {"function_call": {"name": "f"}},
    "audio": {"audio": {"voice": "alloy", "format": "mp3"}},
    "moderation": {"moderation": {"model": "omni-moderation-latest"}},
    "prediction": {"prediction": {"type": "content", "content": "x"}},
    "reasoning_effort": {"reasoning_effort": "high"},
    "web_search_options": {"web_search_options": {}},
}
_RAIN = {"role": "user", "content": "Say something about rain."}

PROBES: Mapping[str, Probes] = {
    "completions": Probes(
        "/v1/completions",
        {"model": MODEL, "prompt": "Once upon a time", "max_tokens": 8, "temperature": 0},
        _COMPLETIONS,
        _ACCEPTED,
        _REFUSED,
        TextTrial,
    ),
    "chat": Probes(
        "/v1/chat/completions",
        {"model": MODEL, "messages": [_RAIN], "max_tokens": 8, "temperature": 0},
        _CHAT,
        _ACCEPTED | _SENT_BACK,
        _REFUSED,
        TextTrial,
    ),
    "edits": Probes(
        "/v1/edits",
        {"model": FIM, "input": "hello world", "instruction": "Make it upper case", "temperature": 0},
        _EDITS,
        desk=TextTrial,
    ),
}
