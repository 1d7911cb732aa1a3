"""The turns of a response whose model calls hosted tools: the server executes the calls, and the model continues.

Knows nothing of any type of tools, of the JSON of events, or of how engines are run.
"""

import asyncio
import functools
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import msgspec

from homeport.api.responses.convert import PromptFields, to_prompt
from homeport.api.responses.events import ItemChanged, StreamEvent
from homeport.api.responses.hosted_tools import HostedStep, HostedTool, ItemFinished, ItemStarted, ItemSteps, KnownSteps
from homeport.api.responses.output import ResponseOutput
from homeport.api.responses.prompt_reader import PromptContent
from homeport.api.responses.tools import ResponseTools
from homeport.domain.content import Message
from homeport.domain.events import Usage
from homeport.domain.responses import Item
from homeport.domain.text import ChatPrompt, StoppingCriteria, TextRequest
from homeport.domain.tools import ToolChoice, ToolUse

MAX_TURNS = 16
"""The maximum number of turns of one response. In the last one the model can call no hosted tool."""

Emit = Callable[[StreamEvent], None]


@dataclass(frozen=True)
class TurnPlan:
    """What the turns of one response need.

    `first`: the request of the first turn, as if the server executed nothing. `tools`: what executes the calls, by the
    names that the model sees. `extend` returns the messages of a later turn, given the output so far; it may block.
    `max_calls`: how many calls may be executed; None: there is no limit. `listed`, `pending` as in `HostedOffer`.
    """

    first: TextRequest
    tools: Mapping[str, HostedTool]
    extend: Callable[[Sequence[Item]], tuple[Message, ...]]
    fields: PromptFields
    max_calls: int | None = None
    listed: Sequence[KnownSteps] = ()
    pending: Sequence[ItemSteps] = ()


class ToolTurns:
    """The turns of one response. `emit` sends an event; what yields after it lets the caller send what there is."""

    def __init__(self, plan: TurnPlan, output: ResponseOutput, emit: Emit) -> None:
        self._plan = plan
        self._output = output
        self._emit = emit
        self._pending = plan.pending
        self._n_executed = 0
        self._n_turns = 1
        self._needs_caller = False

    @property
    def are_due(self) -> bool:
        """Whether calls are to be executed now. A turn that was cut executes nothing."""
        return bool(self._pending) or (bool(self._output.hosted) and self._output.reason != "length")

    def begin(self) -> None:
        """Make the items with which the output begins."""
        for make in self._plan.listed:
            for step in make(self._output.place):
                self._apply(step)

    async def run(self) -> AsyncGenerator[None, None]:
        """Execute the calls that are due, in order, and yield after each step. Calls above the limit are ignored."""
        for make in self._due():
            self._n_executed += 1
            async with aclosing(make(self._output.place)) as steps:
                async for step in steps:
                    self._apply(step)
                    yield

    async def next_request(self, usage: Usage) -> TextRequest | None:
        """Return the request of the next turn; None: the response ends, because the caller must act or tokens ran out.

        `usage`: the cost of the turns so far. Raises InvalidRequest if the messages cannot continue.
        """
        output, plan = self._output, self._plan
        has_answered, has_calls = output.reason is not None, output.n_calls > 0
        output.begin_turn()
        if self._needs_caller or has_calls or self._n_turns >= MAX_TURNS:
            return None
        self._n_turns += has_answered
        stopping = _remaining(plan.first.stopping, usage.completion_tokens)
        if stopping is None:
            output.reason = "length"
            return None
        messages = await asyncio.to_thread(plan.extend, output.items)
        use = _tools_of(plan.first)
        if use is not None:
            choice = _after_calls(use.choice) if has_answered else use.choice
            use = msgspec.structs.replace(use, choice=choice if self._may_call else _without(use, choice, plan.tools))
        prompt = to_prompt(messages, use, plan.fields)
        return msgspec.structs.replace(plan.first, prompts=(prompt,), stopping=stopping)

    @property
    def _may_call(self) -> bool:
        """Whether the model may call hosted tools in the next turn."""
        return self._n_turns < MAX_TURNS and self._n_left != 0

    @property
    def _n_left(self) -> int | None:
        """How many calls may still be executed; None: any number."""
        maximum = self._plan.max_calls
        return None if maximum is None else max(0, maximum - self._n_executed)

    def _due(self) -> Iterator[ItemSteps]:
        """Yield what makes the items that are due now."""
        pending, self._pending = self._pending, ()
        yield from pending
        for call in self._output.hosted[: self._n_left]:
            yield functools.partial(self._plan.tools[call.name].run, call)

    def _apply(self, step: HostedStep) -> None:
        output, index = self._output, self._output.place.index
        if isinstance(step, ItemStarted):
            self._emit(ItemChanged(type="response.output_item.added", output_index=index, item=step.item))
        elif isinstance(step, ItemFinished):
            returned = step.returned or step.item
            self._emit(ItemChanged(type="response.output_item.done", output_index=index, item=returned))
            output.append(step.item, returned)
            self._needs_caller = self._needs_caller or step.needs_caller
        else:
            self._emit(step)


def to_turns(
    first: TextRequest, tools: ResponseTools, content: PromptContent, fields: PromptFields, max_calls: int | None
) -> TurnPlan:
    """Plan the turns of a response with hosted tools. `first` and `max_calls` as in `TurnPlan`."""
    return TurnPlan(
        first,
        tools.hosted,
        content.extend,
        fields,
        max_calls,
        listed=[make for offer in tools.offers for make in offer.listed],
        pending=[make for offer in tools.offers for make in offer.pending],
    )


def first_request(plan: TurnPlan) -> TextRequest:
    """Return the request of the first turn: without hosted tools if none of their calls may be executed."""
    use = _tools_of(plan.first)
    if use is None or plan.max_calls != 0 or not plan.tools:
        return plan.first
    [prompt] = plan.first.prompts
    tools = msgspec.structs.replace(use, choice=_without(use, use.choice, plan.tools))
    return msgspec.structs.replace(plan.first, prompts=(msgspec.structs.replace(prompt, tools=tools),))


def _tools_of(request: TextRequest) -> ToolUse | None:
    [prompt] = request.prompts
    return prompt.tools if isinstance(prompt, ChatPrompt) else None


def _after_calls(choice: ToolChoice) -> ToolChoice:
    """Return the choice after a turn with calls: what had to be called has been."""
    if choice.mode == "named":
        return ToolChoice()
    return ToolChoice("auto", choice.names) if choice.mode == "required" else choice


def _without(use: ToolUse, choice: ToolChoice, hosted: Collection[str]) -> ToolChoice:
    """Return a choice among the other tools. The prompt still has all of them, so that its prefix stays the same."""
    names = tuple(name for name in choice.names or (tool.name for tool in use.tools) if name not in hosted)
    return ToolChoice(choice.mode, names) if names and choice.mode != "none" else ToolChoice("none")


def _remaining(stopping: StoppingCriteria, n_used: int) -> StoppingCriteria | None:
    """Return when a later turn ends, so that all turns together keep the limits; None: no token is left."""
    name = "default_tokens" if stopping.max_tokens is None else "max_tokens"
    limit: int | None = getattr(stopping, name)
    if limit is None:
        return stopping
    left = limit - n_used
    if left <= 0:
        return None
    return msgspec.structs.replace(stopping, min_tokens=min(stopping.min_tokens, left), **{name: left})
