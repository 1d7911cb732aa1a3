"""For every served field of the text endpoints: a value that changes the answer, and the change to check."""

import json
from collections.abc import Mapping
from typing import Any

from tests.system.compatibility import audio_chat, structured
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


def _model(trial: TextTrial) -> None:
    answer = trial.raw(model="gpt-3.5-turbo")
    assert answer.headers["x-homeport-model"] == MODEL
    assert answer.json().get("model", "gpt-3.5-turbo") == "gpt-3.5-turbo", "edits of 2023 name no model"
    assert trial.raw(model="nobody").status == 404


def _prompt(trial: TextTrial) -> None:
    assert len(trial.texts(prompt=["One", "Two", "Three"])) == 3


def _messages(trial: TextTrial) -> None:
    assert trial.text(messages=[{"role": "user", "content": "Count from one to ten."}]) != trial.text()


def _max_tokens(trial: TextTrial) -> None:
    assert trial.ask(max_tokens=3)["usage"]["completion_tokens"] == 3


def _max_completion_tokens(trial: TextTrial) -> None:
    assert trial.ask(max_tokens=..., max_completion_tokens=3)["usage"]["completion_tokens"] == 3


def _temperature(trial: TextTrial) -> None:
    assert trial.texts(temperature=2, n=4) != trial.texts(n=4)


def _edit_temperature(trial: TextTrial) -> None:
    wish = {"input": "", "instruction": "Write one short sentence about rain.", "n": 4}
    assert len(set(trial.texts(**wish))) == 1
    assert len(set(trial.texts(**wish, temperature=1.2))) > 1


def _top_p(trial: TextTrial) -> None:
    assert trial.text(temperature=2, top_p=0) == trial.text()


def _n(trial: TextTrial) -> None:
    assert [choice["index"] for choice in trial.ask(n=3)["choices"]] == [0, 1, 2]


def _stream(trial: TextTrial) -> None:
    answer = trial.raw(stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.body.rstrip().endswith(b"data: [DONE]")


def _stream_options(trial: TextTrial) -> None:
    answer = trial.raw(stream=True, stream_options={"include_usage": True})
    last = answer.body.decode().strip().split("\n\n")[-2]
    assert json.loads(last.removeprefix("data: "))["usage"]["completion_tokens"] > 0


def _obfuscation(trial: TextTrial) -> None:
    answer = trial.raw(stream=True, stream_options={"include_obfuscation": True})
    chunks = answer.body.decode().strip().split("\n\n")[:-1]
    assert all(json.loads(chunk.removeprefix("data: "))["obfuscation"] for chunk in chunks)


def _logprobs(trial: TextTrial) -> None:
    scores = trial.ask(logprobs=2)["choices"][0]["logprobs"]
    assert all(2 <= len(top) <= 3 for top in scores["top_logprobs"])


def _chat_logprobs(trial: TextTrial) -> None:
    assert trial.ask()["choices"][0]["logprobs"] is None
    assert trial.ask(logprobs=True)["choices"][0]["logprobs"]["content"]


def _top_logprobs(trial: TextTrial) -> None:
    content = trial.ask(logprobs=True, top_logprobs=7)["choices"][0]["logprobs"]["content"]
    assert {len(entry["top_logprobs"]) for entry in content} == {7}


def _echo(trial: TextTrial) -> None:
    assert trial.text(echo=True) == trial.probes.plain["prompt"] + trial.text()


def _stop(trial: TextTrial) -> None:
    text = trial.text()
    stop = text[4:7]
    assert trial.text(stop=[stop]) == text[: text.index(stop)]


def _penalty(field: str) -> Effect:
    def effect(trial: TextTrial) -> None:
        assert trial.text(**trial.loop(), **{field: 2}) != trial.text(**trial.loop())

    return effect


def _best_of(trial: TextTrial) -> None:
    answer = trial.ask(best_of=3, temperature=1, ignore_eos=True)
    assert len(answer["choices"]) == 1
    assert answer["usage"]["completion_tokens"] == 3 * 8


def _logit_bias(trial: TextTrial) -> None:
    forced = trial.text(logit_bias={"1000": 100}, max_tokens=2)
    assert trial.text(logit_bias={"1000": 100}, max_tokens=1) * 2 == forced


def _seed(trial: TextTrial) -> None:
    first = trial.texts(temperature=1.5, seed=4, n=3)
    assert trial.texts(temperature=1.5, seed=4, n=3) == first
    assert trial.texts(temperature=1.5, seed=5, n=3) != first


def _suffix(trial: TextTrial) -> None:
    wish = {"prompt": "def double(x):\n    ", "max_tokens": 12, "model": FIM}
    assert trial.text(**wish, suffix="\n\nassert double(2) == 4") != trial.text(**wish)


def _narrow(field: str, value: float) -> Effect:
    def effect(trial: TextTrial) -> None:
        assert trial.text(temperature=2, **{field: value}) == trial.text()

    return effect


def _ignore_eos(trial: TextTrial) -> None:
    if "messages" in trial.probes.plain:
        wish = {"messages": [{"role": "user", "content": "Say only: ok"}], "max_tokens": 120}
        assert trial.ask(**wish, ignore_eos=True)["usage"]["completion_tokens"] == 120
        assert trial.ask(**wish)["usage"]["completion_tokens"] < 120
    else:
        answer = trial.ask(ignore_eos=True, logit_bias={"2": 100})
        assert answer["usage"]["completion_tokens"] == 8


def _min_tokens(trial: TextTrial) -> None:
    assert trial.ask(logit_bias={"2": 100}, min_tokens=0)["usage"]["completion_tokens"] == 0
    assert trial.ask(logit_bias={"2": 90}, min_tokens=5)["usage"]["completion_tokens"] >= 5


def _stop_token_ids(trial: TextTrial) -> None:
    scored = trial.ask(logit_bias={"1000": 100}, stop_token_ids=[1000])
    assert scored["usage"]["completion_tokens"] == 0
    assert scored["choices"][0]["finish_reason"] == "stop"


def _roles(trial: TextTrial) -> None:
    ask = {"role": "user", "content": "Say something about rain."}
    said = [
        trial.text(messages=[{"role": role, "content": "Speak of frogs."}, ask]) for role in ("system", "assistant")
    ]
    assert len({*said, trial.text()}) == 3


def _name(trial: TextTrial) -> None:
    plain = {"role": "user", "content": "Say something about rain."}
    named = trial.ask(messages=[{**plain, "name": "alice"}])["usage"]["prompt_tokens"]
    assert named > trial.ask(messages=[plain])["usage"]["prompt_tokens"]


def _refusal(trial: TextTrial) -> None:
    ask = {"role": "user", "content": "Say something about rain."}
    refused = {"role": "assistant", "content": None, "refusal": "I will not speak of frogs."}
    with_it = trial.ask(messages=[ask, refused, ask])["usage"]["prompt_tokens"]
    assert with_it > trial.ask(messages=[ask, {**refused, "refusal": "No."}, ask])["usage"]["prompt_tokens"]


def _metadata(trial: TextTrial) -> None:
    assert trial.ask(metadata={"a": "b"})["metadata"] == {"a": "b"}


def _store(trial: TextTrial) -> None:
    for is_stored, status in ((True, 200), (False, 404)):
        path = f"/v1/chat/completions/{trial.ask(store=is_stored)['id']}"
        assert trial.server.call("GET", path).status == status


def _input(trial: TextTrial) -> None:
    assert (
        trial.ask(input="a much longer text than before, said twice, said twice")["usage"]["prompt_tokens"]
        > (trial.ask()["usage"]["prompt_tokens"])
    )


def _instruction(trial: TextTrial) -> None:
    assert (
        trial.ask(instruction="Translate it to French, please, and keep it short")["usage"]["prompt_tokens"]
        > (trial.ask()["usage"]["prompt_tokens"])
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
    **structured.FORMATS,
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
    "store": _store,
    "max_completion_tokens": _max_completion_tokens,
    "logprobs": _chat_logprobs,
    "top_logprobs": _top_logprobs,
    **audio_chat.CHAT,
    **structured.CHAT,
}
_EDITS: dict[str, Effect] = {**_BOTH, "temperature": _edit_temperature, "input": _input, "instruction": _instruction}

_ACCEPTED: dict[str, Any] = {
    "user": "someone",
    "service_tier": "auto",
    "safety_identifier": "someone",
    "prompt_cache_key": "a key",
    "prompt_cache_retention": "in_memory",
    "prompt_cache_options": {"mode": "implicit", "ttl": "30m"},
}
_ASK = {"role": "user", "content": "hi"}
_TAKEN_BACK: dict[str, Any] = {
    "annotations": [],
    "parsed": {"answer": 42},
    "id": "chatcmpl-1-0",
    "content_parts": None,
}
_SENT_BACK: dict[str, Any] = {
    f"messages.{name}": {"messages": [_ASK, {"role": "assistant", "content": "hello", name: value}, _ASK]}
    for name, value in _TAKEN_BACK.items()
}
_REFUSED: dict[str, dict[str, Any]] = {
    "moderation": {"moderation": {"model": "omni-moderation-latest"}},
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
        trial_type=TextTrial,
    ),
}
