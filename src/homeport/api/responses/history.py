"""The messages of a history of items: what a model reads of them, and whether calls and outputs belong together.

Knows nothing of templates or of storage. Reasoning, answers and calls in a row are one message of the assistant.
"""

from collections.abc import Callable, Sequence

import msgspec

from homeport.api.image_inputs.collection import ImageInputs
from homeport.api.responses.client_tools import local_shell_arguments, patch_arguments, shell_arguments
from homeport.api.responses.content_reader import ContentReader
from homeport.api.responses.hosted_history import to_exchange
from homeport.api.responses.input_files import ReferredTexts
from homeport.api.responses.item_schema import (
    Compaction,
    CustomCall,
    FunctionCall,
    HostedItem,
    InputItem,
    LocalShellCall,
    McpApprovalResponse,
    MessageItem,
    PatchCallOutput,
    ReasoningItem,
    ShellCall,
    ShellCallOutput,
    ToolCall,
    ToolOutput,
)
from homeport.api.responses.items import MAX_ITEMS, duplicate_id
from homeport.api.responses.mcp_history import Approvals
from homeport.api.responses.summaries import replace_earlier
from homeport.api.responses.tool_names import model_name
from homeport.domain import validation
from homeport.domain.content import (
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    list_images,
    text_message,
)
from homeport.domain.errors import InvalidRequest, excerpt
from homeport.domain.history import FunctionCallFields
from homeport.domain.history_reader import to_function_call


def to_messages(
    instructions: str | None,
    items: Sequence[InputItem],
    open_reasoning: Callable[[str], str | None],
    *,
    n_earlier: int = 0,
    read_file: Callable[[str], bytes] | None = None,
    images: ImageInputs | None = None,
) -> tuple[Message, ...]:
    """Make the messages of instructions and all items, the first `n_earlier` of which are those of earlier responses.

    `open_reasoning` returns the text of `encrypted_content`; `read_file` the content of an uploaded file, by its id;
    `images` registers images, which are refused without it. Raises InvalidRequest naming the item of the request, and
    what `read_file` raises.
    """
    if len(items) > MAX_ITEMS:
        raise InvalidRequest(
            f"Invalid 'input': the conversation has {len(items)} items, and at most {MAX_ITEMS} are allowed. Start a "
            "new one, or compact it.",
            param="input",
            code="array_above_max_length",
        )
    history = _History(items, ReferredTexts(open_reasoning, read_file), images)
    ids: set[str] = set()
    for at, item in enumerate(items):
        is_new = at >= n_earlier
        place = f"input[{at - n_earlier}]" if is_new else "input"
        if item.id is not None:
            if item.id in ids:
                raise duplicate_id(item.id, place)
            ids.add(item.id)
        history.add(item, place, is_new)
    messages = history.finish()
    if images is not None:
        images.select(list_images(messages), "input")
    if instructions:
        messages = (text_message("system", instructions), *messages)
    if not messages:
        raise validation.missing("input")
    return messages


class _History:
    """Collects the assistant's items until their calls have outputs and something else follows."""

    def __init__(self, items: Sequence[InputItem], referred: ReferredTexts, images: ImageInputs | None) -> None:
        self._referred = referred
        self._content = ContentReader(referred, images)
        self._answered = {item.call_id for item in items if isinstance(item, ToolOutput)}
        self._messages: list[Message] = []
        self._thoughts: list[str] = []
        self._texts: list[str] = []
        self._calls: dict[str, ToolCallPart] = {}
        self._call_ids: dict[str, str] = {}
        self._results: dict[str, tuple[Part, ...]] = {}
        self._n_hosted = 0
        self._approvals = Approvals(items)

    def add(self, item: InputItem, place: str, is_new: bool) -> None:
        """Add the next item. `is_new`: it is of this request, and `place` names it."""
        if isinstance(item, MessageItem):
            parts = self._content.read(item.parts, f"{place}.content")
            if item.role == "assistant":
                self._begin_answer(ends_text=True)
                self._texts.append("".join(part.text for part in parts if isinstance(part, TextPart)))
            else:
                self._end_turn()
                self._messages.append(Message(item.role, tuple(parts) or (TextPart(""),)))
        elif isinstance(item, ReasoningItem):
            self._begin_answer(ends_text=True)
            self._thoughts.append(self._reasoning(item, place, is_new))
        elif isinstance(item, ToolCall):
            self._add_call(item, place)
        elif isinstance(item, ToolOutput):
            self._add_output(item, place)
        elif isinstance(item, HostedItem):
            self._add_hosted(item, place, is_new)
        elif isinstance(item, Compaction):
            self._end_turn()
            text = self._referred.open(item.encrypted_content, place)
            self._messages = list(replace_earlier(self._messages, text, self._content.earlier_image))

    def finish(self) -> tuple[Message, ...]:
        """Return all messages. Raises InvalidRequest if a call has no output."""
        self._end_turn()
        return tuple(self._messages)

    def _begin_answer(self, *, ends_text: bool) -> None:
        """End the assistant's message if the next item of the assistant belongs to another one."""
        is_over = len(self._results) == len(self._calls) if self._calls else ends_text and bool(self._texts)
        if is_over:
            self._end_turn()

    def _end_turn(self) -> None:
        if missing := [call_id for call_id in self._calls if call_id not in self._results]:
            raise InvalidRequest(
                f"No tool output found for function call {excerpt(missing[0])}.", param="input", code="invalid_value"
            )
        if not (self._thoughts or self._texts or self._calls):
            return
        parts: list[Part] = []
        if thought := "\n\n".join(filter(None, self._thoughts)):
            parts.append(ReasoningPart(thought))
        text = "".join(self._texts)
        if text or not self._calls:
            parts.append(TextPart(text))
        self._messages.append(Message("assistant", (*parts, *self._calls.values())))
        self._messages.extend(Message("tool", self._results[call_id]) for call_id in self._calls)
        self._thoughts, self._texts, self._calls, self._call_ids, self._results = [], [], {}, {}, {}

    def _add_call(self, item: ToolCall, place: str) -> None:
        call_id = item.call_id or item.id or ""
        if item.status == "incomplete" and call_id not in self._answered:
            return  # it was cut, and nobody can have executed it
        self._begin_answer(ends_text=False)
        if call_id in self._calls:
            raise InvalidRequest(
                f"Duplicate function call found with call_id {excerpt(call_id)}.",
                param=_inside(place, "call_id"),
                code="invalid_value",
            )
        self._calls[call_id] = _to_call(item, call_id, place)
        if item.id is not None:
            self._call_ids[item.id] = call_id

    def _add_output(self, item: ToolOutput, place: str) -> None:
        call_id = item.call_id or ""
        if call_id not in self._calls:  # SDKs write the id of a `local_shell_call` here
            call_id = self._call_ids.get(call_id, call_id)
        if call_id not in self._calls:
            raise InvalidRequest(
                f"No tool call found for function call output with call_id {excerpt(call_id)}.",
                param="input",
                code="invalid_value",
            )
        if call_id in self._results:
            raise InvalidRequest(
                f"Duplicate output found for the call with call_id {excerpt(call_id)}.",
                param=_inside(place, "call_id"),
                code="invalid_value",
            )
        self._results[call_id] = self._result(call_id, item, f"{place}.output")

    def _add_hosted(self, item: HostedItem, place: str, is_new: bool) -> None:
        """Add a call that the server has executed, with its result, or one that the caller has refused."""
        if isinstance(item, McpApprovalResponse):
            exchange = self._approvals.add(item, place, is_new=is_new)
        else:
            exchange = to_exchange(item)
        if exchange is None:
            return
        self._begin_answer(ends_text=False)
        self._n_hosted += 1
        call_id = f"hosted_{self._n_hosted}"  # not the item's id: it has none until it is stored
        self._calls[call_id] = ToolCallPart(call_id, exchange.name, exchange.arguments)
        self._results[call_id] = (ToolResultPart(call_id, exchange.result),)

    def _result(self, call_id: str, item: ToolOutput, place: str) -> tuple[Part, ...]:
        """Return the result of a call: one text, which its images follow."""
        if isinstance(item, ShellCallOutput):
            return (ToolResultPart(call_id, _shell_text(item)),)
        if isinstance(item, PatchCallOutput):
            applied = item.output or f"The patch {'failed' if item.status == 'failed' else 'was applied'}."
            return (ToolResultPart(call_id, applied),)
        if isinstance(item.output, str):
            return (ToolResultPart(call_id, item.output),)
        parts = self._content.read(item.output, place)
        text = "".join(part.text for part in parts if isinstance(part, TextPart))
        return (ToolResultPart(call_id, text), *(part for part in parts if isinstance(part, ImagePart)))

    def _reasoning(self, item: ReasoningItem, place: str, is_new: bool) -> str:
        """Return the reasoning itself if the item has it, in whatever form, else its summary."""
        content = "".join(part.text for part in item.content or ())
        if item.encrypted_content and (is_new or not content):
            opened = self._referred.open(item.encrypted_content, place)
            content = content or opened
        return content or "\n\n".join(part.text for part in item.summary or ())


def _to_call(item: ToolCall, call_id: str, place: str) -> ToolCallPart:
    if isinstance(item, FunctionCall):
        name = model_name(item.name, item.namespace)
        if item.status == "incomplete":  # only these were not checked
            return to_function_call(call_id, FunctionCallFields(name=name, arguments=item.arguments), place)
        return ToolCallPart(call_id, name, item.arguments if item.arguments.strip() else "{}")
    if isinstance(item, CustomCall):
        arguments = msgspec.json.encode({"input": item.input}).decode()
        return ToolCallPart(call_id, model_name(item.name, item.namespace), arguments)
    if isinstance(item, LocalShellCall):
        return ToolCallPart(call_id, "local_shell", local_shell_arguments(item))
    if isinstance(item, ShellCall):
        return ToolCallPart(call_id, "shell", shell_arguments(item))
    return ToolCallPart(call_id, "apply_patch", patch_arguments(item.operation))


def _shell_text(item: ShellCallOutput) -> str:
    """Return what the commands of a shell wrote and how they ended, as JSON."""
    outputs = [
        {
            "stdout": each.stdout,
            "stderr": each.stderr,
            "outcome": "timeout" if each.outcome.type == "timeout" else f"exit code {each.outcome.exit_code}",
        }
        for each in item.output
    ]
    return msgspec.json.encode(outputs).decode()


def _inside(place: str, name: str) -> str:
    return f"{place}.{name}" if place != "input" else place
