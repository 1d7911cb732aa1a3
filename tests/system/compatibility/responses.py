"""For every served field of responses: a value that changes the answer; and the events of their streams."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tests.system import reasoning_model
from tests.system.compatibility.field_trials import Effect, EndpointTrial, Probes
from tests.system.compatibility.vector_stores import LIGHTHOUSE, create_store
from tests.system.server import HttpAnswer, ServerProcess

MODEL = "smollm2-135m"
PATH = "/v1/responses"
_ENDED = ("completed", "incomplete", "failed", "cancelled")
_LOOP: dict[str, Any] = {"input": "Repeat for ever: na na na na na na na na na na na na", "max_output_tokens": 40}
_ASK: dict[str, Any] = {"input": "What is the weather in Paris?", "max_output_tokens": 96}
_REASONING: dict[str, Any] = {"model": reasoning_model.NAME, "max_output_tokens": 24}
DRAWING: dict[str, Any] = {
    "input": "Draw a red balloon.",
    "tools": [{"type": "image_generation", "partial_images": 1}],
    "tool_choice": {"type": "image_generation"},
    "max_output_tokens": 400,
}
_SCHEMA = {
    "type": "object",
    "properties": {"ok": {"type": "boolean"}},
    "required": ["ok"],
    "additionalProperties": False,
}
_WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"enum": ["Paris", "Rome"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
_CUSTOM = {
    "type": "custom",
    "name": "paint",
    "format": {"type": "grammar", "syntax": "regex", "definition": "bl[u]e"},
}


def _calling(url: str, name: str) -> dict[str, Any]:
    """Return the fields of a request whose model must call a tool of an MCP server."""
    declared = {"type": "mcp", "server_label": "tests", "server_url": url, "require_approval": "never"}
    return {**_ASK, "tools": [declared], "tool_choice": {"type": "mcp", "server_label": "tests", "name": name}}


class ResponseTrial(EndpointTrial):
    """Requests responses."""

    def text(self, **changed: Any) -> str:
        """Return the text of the answer."""
        items = self.ask(**changed)["output"]
        return "".join(part["text"] for item in items if item["type"] == "message" for part in item["content"])

    def prompt_tokens(self, **changed: Any) -> int:
        """Return the number of tokens of the prompt."""
        count: int = self.ask(**changed)["usage"]["input_tokens"]
        return count

    def output_tokens(self, **changed: Any) -> int:
        """Return the number of tokens of the answer."""
        count: int = self.ask(**changed)["usage"]["output_tokens"]
        return count

    def reasoning(self, **changed: Any) -> dict[str, Any] | None:
        """Return the item of the reasoning model's thoughts."""
        items = self.ask(**_REASONING, **changed)["output"]
        return next((item for item in items if item["type"] == "reasoning"), None)

    def calls(self, **changed: Any) -> list[dict[str, Any]]:
        """Return the calls of functions."""
        return [item for item in self.ask(**_ASK, **changed)["output"] if item["type"] == "function_call"]


def read_events(answer: HttpAnswer) -> list[dict[str, Any]]:
    """Return the events of a stream."""
    assert answer.status == 200, answer.body
    lines = answer.body.decode().split("\n")
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


def _model(trial: ResponseTrial) -> None:
    answer = trial.raw(model="gpt-4o")
    assert answer.headers["x-homeport-model"] == MODEL
    assert answer.json()["model"] == "gpt-4o"
    assert trial.raw(model="nobody").status == 404


def _temperature(trial: ResponseTrial) -> None:
    assert trial.text(temperature=2, seed=1) != trial.text()


def _greedy(field: str, value: float) -> Effect:
    """Make the effect of a value with which a hot sampler takes the likeliest tokens."""

    def effect(trial: ResponseTrial) -> None:
        assert trial.text(temperature=2, **{field: value}) == trial.text()

    return effect


def _stream(trial: ResponseTrial) -> None:
    answer = trial.raw(stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert read_events(answer)[-1]["type"] in ("response.completed", "response.incomplete")


def _stop(trial: ResponseTrial) -> None:
    text = trial.text()
    assert trial.text(stop=[text[4:7]]) == text[: text.index(text[4:7])]


def _penalty(field: str) -> Effect:
    def effect(trial: ResponseTrial) -> None:
        assert trial.text(**_LOOP, **{field: 2}) != trial.text(**_LOOP)

    return effect


def _logit_bias(trial: ResponseTrial) -> None:
    one = trial.text(logit_bias={"1000": 100}, max_output_tokens=1)
    assert trial.text(logit_bias={"1000": 100}, max_output_tokens=2) == 2 * one


def _seed(trial: ResponseTrial) -> None:
    first = trial.text(temperature=1.5, seed=4)
    assert trial.text(temperature=1.5, seed=4) == first
    assert trial.text(temperature=1.5, seed=5) != first


def _ignore_eos(trial: ResponseTrial) -> None:
    wish = {"input": "Say only: ok", "max_output_tokens": 120}
    assert trial.output_tokens(**wish, ignore_eos=True) == 120
    assert trial.output_tokens(**wish) < 120


def _min_tokens(trial: ResponseTrial) -> None:
    assert trial.output_tokens(logit_bias={"2": 100}, min_tokens=0) == 0
    assert trial.output_tokens(logit_bias={"2": 90}, min_tokens=5) >= 5


def _stop_token_ids(trial: ResponseTrial) -> None:
    assert trial.output_tokens(logit_bias={"1000": 100}, stop_token_ids=[1000]) == 0


def _input(trial: ResponseTrial) -> None:
    items = [{"role": "user", "content": "Count to ten."}, {"role": "assistant", "content": "No."}]
    assert trial.prompt_tokens(input=[*items, items[0]]) > trial.prompt_tokens(input=items[:1])


def _instructions(trial: ResponseTrial) -> None:
    told = trial.ask(instructions="You are a pirate, and you speak of nothing but the sea and the wind above it.")
    assert told["usage"]["input_tokens"] > trial.prompt_tokens(instructions="Hi")
    followed = trial.ask(previous_response_id=told["id"])
    assert followed["instructions"] is None


def _previous(trial: ResponseTrial) -> None:
    first = trial.ask()
    assert trial.prompt_tokens(previous_response_id=first["id"]) > first["usage"]["input_tokens"]
    assert trial.raw(previous_response_id="resp_nowhere").error["param"] == "previous_response_id"


def _conversation(trial: ResponseTrial) -> None:
    made = trial.server.call("POST", "/v1/conversations", {"items": [{"role": "user", "content": "I am Ada."}]}).json()
    assert trial.prompt_tokens(conversation=made["id"]) > trial.prompt_tokens()
    items = trial.server.call("GET", f"/v1/conversations/{made['id']}/items").json()["data"]
    assert [item["role"] for item in items] == ["assistant", "user", "user"]


def _store(trial: ResponseTrial) -> None:
    for is_stored, status in ((True, 200), (False, 404)):
        assert trial.server.call("GET", f"{PATH}/{trial.ask(store=is_stored)['id']}").status == status


def _background(trial: ResponseTrial) -> None:
    made = trial.ask(background=True)
    assert made["status"] == "queued"

    def has_ended() -> bool:
        return trial.server.call("GET", f"{PATH}/{made['id']}").json()["status"] in _ENDED

    trial.server.wait("the background response has ended", has_ended, 60)


def _padding(trial: ResponseTrial) -> None:
    for is_padded in (True, False):
        events = read_events(trial.raw(stream=True, stream_options={"include_obfuscation": is_padded}))
        deltas = [event for event in events if event["type"].endswith(".delta")]
        assert deltas
        assert all(("obfuscation" in event) == is_padded for event in deltas)


def _max_output_tokens(trial: ResponseTrial) -> None:
    answer = trial.ask(max_output_tokens=3)
    assert answer["usage"]["output_tokens"] == 3
    assert answer["incomplete_details"] == {"reason": "max_output_tokens"}


def _format(trial: ResponseTrial) -> None:
    form = {"type": "json_schema", "name": "n", "schema": _SCHEMA}
    assert isinstance(json.loads(trial.text(text={"format": form}, max_output_tokens=96))["ok"], bool)


def _verbosity(trial: ResponseTrial) -> None:
    told = trial.prompt_tokens(instructions="Be kind.", text={"verbosity": "low"})
    assert told > trial.prompt_tokens(instructions="Be kind.")


def _effort(trial: ResponseTrial) -> None:
    assert trial.reasoning()
    assert trial.reasoning(reasoning={"effort": "none"}) is None


def _summary(field: str) -> Effect:
    def effect(trial: ResponseTrial) -> None:
        plain, told = trial.reasoning(), trial.reasoning(reasoning={field: "auto"})
        assert plain
        assert told
        assert [part["text"] for part in told["summary"]] == [part["text"] for part in plain["content"]]
        assert plain["summary"] == []

    return effect


def _context(trial: ResponseTrial) -> None:
    thought = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "It is about rain."}]}
    ask = {"role": "user", "content": "What is it about?"}
    history = [ask, thought, {"role": "assistant", "content": "Rain."}, ask]
    all_turns, current = (
        trial.prompt_tokens(**_REASONING, input=history, reasoning={"context": context})
        for context in ("all_turns", "current_turn")
    )
    assert all_turns > current


def _tools(trial: ResponseTrial) -> None:
    assert trial.prompt_tokens(tools=[_WEATHER]) > trial.prompt_tokens()
    refused = trial.raw(tools=[{"type": "code_interpreter", "container": {"type": "auto"}}])
    assert refused.error["param"] == "tools[0].type"


def _tool_choice(trial: ResponseTrial) -> None:
    (call,) = trial.calls(tools=[_WEATHER], tool_choice={"type": "function", "name": "get_weather"})
    assert json.loads(call["arguments"])["city"] in ("Paris", "Rome")
    assert not trial.calls(tools=[_WEATHER], tool_choice="none", stop=["\n", "."])


def _parallel_tool_calls(trial: ResponseTrial) -> None:
    assert len(trial.calls(tools=[_WEATHER], tool_choice="required", parallel_tool_calls=False)) == 1


def _include(trial: ResponseTrial) -> None:
    part = trial.ask(include=["message.output_text.logprobs"])["output"][0]["content"][0]
    assert part["logprobs"]
    assert not trial.ask()["output"][0]["content"][0]["logprobs"]


def _top_logprobs(trial: ResponseTrial) -> None:
    part = trial.ask(top_logprobs=7)["output"][0]["content"][0]
    assert {len(entry["top_logprobs"]) for entry in part["logprobs"]} == {7}


def _truncation(trial: ResponseTrial) -> None:
    long = [{"role": "user", "content": "rain " * 40_000}, {"role": "assistant", "content": "Yes."}]
    history = [*long, {"role": "user", "content": "Hello"}]
    answer = trial.raw(input=history, truncation="auto")
    assert answer.status == 200, answer.body
    assert answer.headers["x-homeport-messages"]
    assert trial.raw(input=history, truncation="disabled").status == 400


def _managed(trial: ResponseTrial, **entry: Any) -> list[str]:
    """Return the types of the items that answer a conversation of more than 1000 tokens."""
    said = [{"role": "user", "content": "It rains. " * 400}, {"role": "assistant", "content": "Yes."}]
    history = [*said, {"role": "user", "content": "Hello"}]
    return [item["type"] for item in trial.ask(input=history, context_management=[entry])["output"]]


def _context_management(trial: ResponseTrial) -> None:
    assert _managed(trial, type="compaction", compact_threshold=1000) == ["compaction", "message"]


def _management_type(trial: ResponseTrial) -> None:
    answer = trial.raw(context_management=[{"type": "other"}])
    assert (answer.status, answer.error["param"]) == (400, "context_management[0].type")


def _compact_threshold(trial: ResponseTrial) -> None:
    assert _managed(trial, type="compaction", compact_threshold=8000) == ["message"]


def _metadata(trial: ResponseTrial) -> None:
    assert trial.ask(metadata={"a": "b"})["metadata"] == {"a": "b"}


def _max_tool_calls(trial: ResponseTrial) -> None:
    kinds = [
        [item["type"] for item in trial.ask(**DRAWING, max_tool_calls=most)["output"]].count("image_generation_call")
        for most in (0, 1)
    ]
    assert kinds == [0, 1]


REASONING: Mapping[str, Effect] = {
    "reasoning": _effort,
    "reasoning.effort": _effort,
    "reasoning.summary": _summary("summary"),
    "reasoning.generate_summary": _summary("generate_summary"),
    "reasoning.context": _context,
}
"""The effects that need the server of the reasoning model."""
HOSTED: Mapping[str, Effect] = {"max_tool_calls": _max_tool_calls}
"""The effects that need the server with an image model."""

_EFFECTS: dict[str, Effect] = {
    "model": _model,
    "temperature": _temperature,
    "top_p": _greedy("top_p", 0),
    "stream": _stream,
    "stop": _stop,
    "presence_penalty": _penalty("presence_penalty"),
    "frequency_penalty": _penalty("frequency_penalty"),
    "repetition_penalty": _penalty("repetition_penalty"),
    "logit_bias": _logit_bias,
    "seed": _seed,
    "top_k": _greedy("top_k", 1),
    "min_p": _greedy("min_p", 1.0),
    "ignore_eos": _ignore_eos,
    "min_tokens": _min_tokens,
    "stop_token_ids": _stop_token_ids,
    "input": _input,
    "instructions": _instructions,
    "previous_response_id": _previous,
    "conversation": _conversation,
    "store": _store,
    "background": _background,
    "stream_options": _padding,
    "stream_options.include_obfuscation": _padding,
    "max_output_tokens": _max_output_tokens,
    "text": _format,
    "text.format": _format,
    "text.verbosity": _verbosity,
    **REASONING,
    **HOSTED,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "parallel_tool_calls": _parallel_tool_calls,
    "include": _include,
    "top_logprobs": _top_logprobs,
    "truncation": _truncation,
    "context_management": _context_management,
    "context_management.type": _management_type,
    "context_management.compact_threshold": _compact_threshold,
    "metadata": _metadata,
}
_ACCEPTED: dict[str, Any] = {
    "user": "someone",
    "reasoning.mode": {"reasoning": {"mode": "standard"}},
    "service_tier": "auto",
    "safety_identifier": "someone",
    "prompt_cache_key": "a key",
    "prompt_cache_retention": "in_memory",
    "prompt_cache_options": {"mode": "implicit", "ttl": "30m"},
    "client_metadata": {"a": "b"},
}
_REFUSED: dict[str, dict[str, Any]] = {
    "moderation": {"moderation": {"model": "omni-moderation-latest"}},
    "prompt": {"prompt": {"id": "pmpt_1"}},
}

PROBES: Mapping[str, Probes] = {
    "responses": Probes(
        PATH,
        {"model": MODEL, "input": "Say something about rain.", "max_output_tokens": 12, "temperature": 0},
        _EFFECTS,
        _ACCEPTED,
        _REFUSED,
        ResponseTrial,
    ),
}

EVENTS: Mapping[str, str] = {
    "response.created": "First, with the response as it begins.",
    "response.queued": "In the stream of a background response: it waits for its run.",
    "response.in_progress": "The model may begin.",
    "response.output_item.added": "An item begins: a message, reasoning, a call or a compaction.",
    "response.content_part.added": "The text of a message or of reasoning begins.",
    "response.output_text.delta": "More text of a message.",
    "response.output_text.annotation.added": "With `file_search`: a file that supports a sentence of the message.",
    "response.output_text.done": "The whole text of a message.",
    "response.reasoning_text.delta": "More reasoning.",
    "response.reasoning_text.done": "The whole reasoning.",
    "response.content_part.done": "The text of a message or of reasoning has ended.",
    "response.reasoning_summary_part.added": "With `reasoning.summary`: the reasoning begins, as a summary.",
    "response.reasoning_summary_text.delta": "More of it.",
    "response.reasoning_summary_text.done": "All of it.",
    "response.reasoning_summary_part.done": "It has ended.",
    "response.function_call_arguments.delta": "More of a function's arguments.",
    "response.function_call_arguments.done": "The whole arguments.",
    "response.custom_tool_call_input.delta": "More of a custom tool's input.",
    "response.custom_tool_call_input.done": "The whole input.",
    "response.image_generation_call.in_progress": "The server executes a call of `image_generation`.",
    "response.image_generation_call.generating": "The image model makes the image.",
    "response.image_generation_call.partial_image": "With `partial_images`: a preview, if the model has previews.",
    "response.image_generation_call.completed": "The image is made; the item has it.",
    "response.file_search_call.in_progress": "The server executes a call of `file_search`.",
    "response.file_search_call.searching": "The vector stores are searched.",
    "response.file_search_call.completed": "The search has ended; the item has its `results` if they are included.",
    "response.mcp_list_tools.in_progress": "With `mcp`, unless the history has its tools: they are listed.",
    "response.mcp_list_tools.completed": "The tools are listed; the item has them.",
    "response.mcp_call.in_progress": "The server executes a call of an MCP server's tool.",
    "response.mcp_call_arguments.delta": "All of the call's arguments.",
    "response.mcp_call_arguments.done": "The same.",
    "response.mcp_call.completed": "The call has ended; the item has its `output`.",
    "response.mcp_call.failed": "The call has failed; the item has its `error`.",
    "response.output_item.done": "The item has ended, with all of it.",
    "response.completed": "Last: the whole response.",
    "response.incomplete": "Last: the answer was cut, `incomplete_details` says why.",
}
"""The events that are seen on a running server, in the order of a stream, and when each is sent."""

_STREAMS: tuple[dict[str, Any], ...] = (
    {"max_output_tokens": 3},
    {"input": "Say only: ok", "max_output_tokens": 400, "stop": ["."]},
    {"background": True},
    {**_ASK, "tools": [_WEATHER], "tool_choice": "required"},
    {**_ASK, "tools": [_CUSTOM], "tool_choice": {"type": "custom", "name": "paint"}},
)
_REASONING_STREAMS: tuple[dict[str, Any], ...] = (_REASONING, {**_REASONING, "reasoning": {"summary": "auto"}})


class Servers(NamedTuple):
    """Servers with what different streams need. `tools_url`: the MCP server that `mcp` may reach."""

    plain: ServerProcess
    reasoning: ServerProcess
    drawing: ServerProcess
    mcp: ServerProcess
    tools_url: str


def _searching(store_id: str) -> dict[str, Any]:
    """Return the fields of a response that searches a store, and whose answer is what it found."""
    properties = {"answer": {"type": "string", "enum": [LIGHTHOUSE]}}
    schema = {"type": "object", "properties": properties, "required": ["answer"], "additionalProperties": False}
    return {
        "tools": [{"type": "file_search", "vector_store_ids": [store_id]}],
        "tool_choice": {"type": "file_search"},
        "max_tool_calls": 1,
        "max_output_tokens": 600,
        "text": {"format": {"type": "json_schema", "name": "answer", "schema": schema, "strict": True}},
    }


def streamed_events(servers: Servers) -> Iterator[str]:
    """Yield the types of the events of streams of all sorts."""
    hosted = ({**DRAWING, "max_tool_calls": 1},)
    searching = (_searching(create_store(servers.plain, LIGHTHOUSE)),)
    called = tuple(_calling(servers.tools_url, name) for name in ("get_weather", "set_weather"))
    for chosen, requests in (
        (servers.plain, _STREAMS),
        (servers.plain, searching),
        (servers.reasoning, _REASONING_STREAMS),
        (servers.drawing, hosted),
        (servers.mcp, called),
    ):
        trial = ResponseTrial(chosen, PROBES["responses"])
        for changed in requests:
            yield from (event["type"] for event in read_events(trial.raw(stream=True, **changed)))
