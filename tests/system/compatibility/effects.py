"""For every served field of the text endpoints: a value that changes the answer, and what must be seen to change.

An effect sends real requests and returns nothing; it raises AssertionError where the field did nothing. Fields are
judged one at a time against the endpoint's plain request.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.system.house import Answer, House

MODEL = "smollm2-135m"
FIM = "qwen2.5-coder-0.5b"
LOOP = "na na na na na na na na na na na na"

PLAIN: dict[str, dict[str, Any]] = {
    "completions": {"model": MODEL, "prompt": "Once upon a time", "max_tokens": 8, "temperature": 0},
    "chat": {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Say something about rain."}],
        "max_tokens": 8,
        "temperature": 0,
    },
    "edits": {"model": FIM, "input": "hello world", "instruction": "Make it upper case", "temperature": 0},
}
PATHS = {"completions": "/v1/completions", "chat": "/v1/chat/completions", "edits": "/v1/edits"}


class Desk:
    """Sends an endpoint's plain request with some fields changed."""

    def __init__(self, house: House, endpoint: str) -> None:
        self.house = house
        self.endpoint = endpoint

    def raw(self, **changed: Any) -> Answer:
        """The answer as it came. A field set to `...` is left out."""
        body = {**PLAIN[self.endpoint], **changed}
        return self.house.call("POST", PATHS[self.endpoint], {k: v for k, v in body.items() if v is not ...})

    def ask(self, **changed: Any) -> Any:
        """The body of a 200."""
        answer = self.raw(**changed)
        assert answer.status == 200, answer.body
        return answer.json()

    def text(self, **changed: Any) -> str:
        """The first choice's text."""
        return self.texts(**changed)[0]

    def texts(self, **changed: Any) -> list[str]:
        """All choices' texts."""
        choices = self.ask(**changed)["choices"]
        return [c["message"]["content"] if "message" in c else c["text"] for c in choices]

    def loop(self) -> dict[str, Any]:
        """Changes that make greedy decoding repeat itself."""
        if self.endpoint == "chat":
            return {"messages": [{"role": "user", "content": f"Repeat for ever: {LOOP}"}], "max_tokens": 40}
        return {"prompt": LOOP, "max_tokens": 24}


Effect = Callable[[Desk], None]


def _model(desk: Desk) -> None:
    answer = desk.raw(model="gpt-3.5-turbo")
    assert answer.headers["x-homeport-model"] == MODEL
    assert answer.json().get("model", "gpt-3.5-turbo") == "gpt-3.5-turbo", "edits of 2023 name no model"
    assert desk.raw(model="nobody").status == 404


def _prompt(desk: Desk) -> None:
    assert len(desk.texts(prompt=["One", "Two", "Three"])) == 3


def _messages(desk: Desk) -> None:
    assert desk.text(messages=[{"role": "user", "content": "Count from one to ten."}]) != desk.text()


def _max_tokens(desk: Desk) -> None:
    assert desk.ask(max_tokens=3)["usage"]["completion_tokens"] == 3


def _max_completion_tokens(desk: Desk) -> None:
    assert desk.ask(max_tokens=..., max_completion_tokens=3)["usage"]["completion_tokens"] == 3


def _temperature(desk: Desk) -> None:
    assert desk.texts(temperature=2, n=4) != desk.texts(n=4)


def _edit_temperature(desk: Desk) -> None:
    wish = {"input": "", "instruction": "Write one short sentence about rain.", "n": 4}
    assert len(set(desk.texts(**wish))) == 1
    assert len(set(desk.texts(**wish, temperature=1.2))) > 1


def _top_p(desk: Desk) -> None:
    assert desk.text(temperature=2, top_p=0) == desk.text()


def _n(desk: Desk) -> None:
    assert [choice["index"] for choice in desk.ask(n=3)["choices"]] == [0, 1, 2]


def _stream(desk: Desk) -> None:
    answer = desk.raw(stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.body.rstrip().endswith(b"data: [DONE]")


def _stream_options(desk: Desk) -> None:
    answer = desk.raw(stream=True, stream_options={"include_usage": True})
    last = answer.body.decode().strip().split("\n\n")[-2]
    assert json.loads(last.removeprefix("data: "))["usage"]["completion_tokens"] > 0


def _logprobs(desk: Desk) -> None:
    scores = desk.ask(logprobs=2)["choices"][0]["logprobs"]
    assert all(2 <= len(top) <= 3 for top in scores["top_logprobs"])


def _chat_logprobs(desk: Desk) -> None:
    assert desk.ask()["choices"][0]["logprobs"] is None
    assert desk.ask(logprobs=True)["choices"][0]["logprobs"]["content"]


def _top_logprobs(desk: Desk) -> None:
    content = desk.ask(logprobs=True, top_logprobs=7)["choices"][0]["logprobs"]["content"]
    assert {len(entry["top_logprobs"]) for entry in content} == {7}


def _echo(desk: Desk) -> None:
    assert desk.text(echo=True) == PLAIN["completions"]["prompt"] + desk.text()


def _stop(desk: Desk) -> None:
    text = desk.text()
    stop = text[4:7]
    assert desk.text(stop=[stop]) == text[: text.index(stop)]


def _penalty(field: str) -> Effect:
    def effect(desk: Desk) -> None:
        assert desk.text(**desk.loop(), **{field: 2}) != desk.text(**desk.loop())

    return effect


def _best_of(desk: Desk) -> None:
    answer = desk.ask(best_of=3, temperature=1, ignore_eos=True)
    assert len(answer["choices"]) == 1
    assert answer["usage"]["completion_tokens"] == 3 * 8


def _logit_bias(desk: Desk) -> None:
    forced = desk.text(logit_bias={"1000": 100}, max_tokens=2)
    assert desk.text(logit_bias={"1000": 100}, max_tokens=1) * 2 == forced


def _seed(desk: Desk) -> None:
    first = desk.texts(temperature=1.5, seed=4, n=3)
    assert desk.texts(temperature=1.5, seed=4, n=3) == first
    assert desk.texts(temperature=1.5, seed=5, n=3) != first


def _suffix(desk: Desk) -> None:
    wish = {"prompt": "def double(x):\n    ", "max_tokens": 12, "model": FIM}
    assert desk.text(**wish, suffix="\n\nassert double(2) == 4") != desk.text(**wish)


def _narrow(field: str, value: float) -> Effect:
    def effect(desk: Desk) -> None:
        assert desk.text(temperature=2, **{field: value}) == desk.text()

    return effect


def _ignore_eos(desk: Desk) -> None:
    if desk.endpoint == "chat":
        wish = {"messages": [{"role": "user", "content": "Say only: ok"}], "max_tokens": 120}
        assert desk.ask(**wish, ignore_eos=True)["usage"]["completion_tokens"] == 120
        assert desk.ask(**wish)["usage"]["completion_tokens"] < 120
    else:
        answer = desk.ask(ignore_eos=True, logit_bias={"2": 100})
        assert answer["usage"]["completion_tokens"] == 8


def _min_tokens(desk: Desk) -> None:
    assert desk.ask(logit_bias={"2": 100}, min_tokens=0)["usage"]["completion_tokens"] == 0
    assert desk.ask(logit_bias={"2": 90}, min_tokens=5)["usage"]["completion_tokens"] >= 5


def _stop_token_ids(desk: Desk) -> None:
    scored = desk.ask(logit_bias={"1000": 100}, stop_token_ids=[1000])
    assert scored["usage"]["completion_tokens"] == 0
    assert scored["choices"][0]["finish_reason"] == "stop"


def _roles(desk: Desk) -> None:
    ask = {"role": "user", "content": "Say something about rain."}
    said = [desk.text(messages=[{"role": role, "content": "Speak of frogs."}, ask]) for role in ("system", "assistant")]
    assert len({*said, desk.text()}) == 3


def _name(desk: Desk) -> None:
    plain = {"role": "user", "content": "Say something about rain."}
    named = desk.ask(messages=[{**plain, "name": "alice"}])["usage"]["prompt_tokens"]
    assert named > desk.ask(messages=[plain])["usage"]["prompt_tokens"]


def _refusal(desk: Desk) -> None:
    ask = {"role": "user", "content": "Say something about rain."}
    refused = {"role": "assistant", "content": None, "refusal": "I will not speak of frogs."}
    with_it = desk.ask(messages=[ask, refused, ask])["usage"]["prompt_tokens"]
    assert with_it > desk.ask(messages=[ask, {**refused, "refusal": "No."}, ask])["usage"]["prompt_tokens"]


def _metadata(desk: Desk) -> None:
    assert desk.ask(metadata={"a": "b"})["metadata"] == {"a": "b"}


def _input(desk: Desk) -> None:
    assert (
        desk.ask(input="a much longer text than before, said twice, said twice")["usage"]["prompt_tokens"]
        > (desk.ask()["usage"]["prompt_tokens"])
    )


def _instruction(desk: Desk) -> None:
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
EFFECTS: Mapping[str, Mapping[str, Effect]] = {
    "completions": {
        **_TEXT,
        "prompt": _prompt,
        "suffix": _suffix,
        "logprobs": _logprobs,
        "echo": _echo,
        "best_of": _best_of,
    },
    "chat": {
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
    },
    "edits": {**_BOTH, "temperature": _edit_temperature, "input": _input, "instruction": _instruction},
}
