"""Makes the messages of a conversation of their fields, and checks that tool calls and their results belong together.

Errors have OpenAI's texts and name message and field. Knows nothing of endpoints, of training, or of templates.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from homeport.domain import validation
from homeport.domain.content import (
    ImagePart,
    InputPart,
    Message,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from homeport.domain.errors import InvalidRequest, excerpt
from homeport.domain.format_fields import MAX_JSON_CHARS, check_depth
from homeport.domain.history import CustomCallFields, FunctionCallFields, ToolCallFields
from homeport.domain.tool_fields import MAX_TOOLS, check_name

RESULT_ROLES = ("tool", "function")
_ID_CHARS = 1024


class MessageFields(Protocol):
    """What a message is made of, besides its text."""

    @property
    def role(self) -> str:
        """The author's role."""
        ...

    @property
    def name(self) -> str | None:
        """The author's name, or that of the function whose result this is."""
        ...

    @property
    def tool_call_id(self) -> str | None:
        """The id of the call whose result this is."""
        ...

    @property
    def tool_calls(self) -> list[ToolCallFields] | None:
        """The calls of the model."""
        ...

    @property
    def function_call(self) -> FunctionCallFields | None:
        """The call of the model, as of 2023."""
        ...

    @property
    def reasoning_content(self) -> str | None:
        """What the model wrote before its answer."""
        ...

    @property
    def reasoning(self) -> str | None:
        """Another name of `reasoning_content`."""
        ...


class HistoryReader:
    """Makes the messages of one conversation, in order, and checks that each call has a result and each result a call.

    Calls of 2023, which have no ids, get ids made of their position. `place` names the conversation in errors.
    """

    def __init__(self, place: str = "messages") -> None:
        self._place = place
        self._n_messages = 0
        self._unanswered: list[str] = []
        self._function_calls: dict[str, str] = {}

    def read(self, fields: MessageFields, content: str | Sequence[InputPart] | None) -> Message:
        """Make the next message. `content` None: it has none. Raises InvalidRequest naming message and field.

        A result is one text, which its images follow.
        """
        place = f"{self._place}[{self._n_messages}]"
        if fields.role != "tool":
            self._check_answered(f"{place}.role")
        _check_role(fields, place)
        self._n_messages += 1
        if fields.role in RESULT_ROLES:
            given = _to_parts(content)
            text = "".join(part.text for part in given if isinstance(part, TextPart))
            images = [part for part in given if isinstance(part, ImagePart)]
            return Message("tool", (self._to_result(fields, text, place), *images), fields.name)
        parts: list[Part] = []
        thought = fields.reasoning_content or fields.reasoning
        if thought:
            parts.append(ReasoningPart(thought))
        calls = self._to_calls(fields, place)
        given = _to_parts(content)
        if not given and not calls:
            given = (TextPart(""),)
        return Message(fields.role, (*parts, *given, *calls), fields.name)

    def finish(self) -> None:
        """Check that the last calls have results. Raises InvalidRequest."""
        self._check_answered(self._place)

    def _to_calls(self, fields: MessageFields, place: str) -> list[ToolCallPart]:
        given = fields.tool_calls or []
        validation.check_items(f"{place}.tool_calls", given, MAX_TOOLS)
        calls = [_to_call(each, f"{place}.tool_calls[{at}]") for at, each in enumerate(given)]
        self._unanswered = [call.id for call in calls]
        self._function_calls = {}
        if fields.function_call is not None:
            if calls:
                raise InvalidRequest(
                    "A message has either 'tool_calls' or 'function_call'.", param=f"{place}.function_call"
                )
            call = to_function_call(f"call_function_{self._n_messages}", fields.function_call, f"{place}.function_call")
            self._function_calls = {call.name: call.id}
            return [call]
        return calls

    def _to_result(self, fields: MessageFields, text: str, place: str) -> ToolResultPart:
        if fields.role == "function":
            name = check_name(fields.name, f"{place}.name")
            return ToolResultPart(self._function_calls.pop(name, f"call_function_{self._n_messages}"), text)
        if fields.tool_call_id is None:
            raise validation.missing(f"{place}.tool_call_id")
        if not self._unanswered:
            raise InvalidRequest(
                "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
                "'tool_calls'.",
                param=f"{place}.role",
            )
        if fields.tool_call_id not in self._unanswered:
            raise InvalidRequest(
                f"Invalid parameter: 'tool_call_id' of '{excerpt(fields.tool_call_id)}' not found in 'tool_calls' of "
                "previous message.",
                param=f"{place}.tool_call_id",
            )
        self._unanswered.remove(fields.tool_call_id)
        return ToolResultPart(fields.tool_call_id, text)

    def _check_answered(self, param: str) -> None:
        if self._unanswered:
            raise InvalidRequest(
                "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
                "'tool_call_id'. The following tool_call_ids did not have response messages: "
                f"{excerpt(', '.join(self._unanswered))}",
                param=param,
            )


def _to_parts(content: str | Sequence[InputPart] | None) -> Sequence[InputPart]:
    """Return content as parts, without empty texts."""
    parts = (TextPart(content),) if isinstance(content, str) else content or ()
    return [part for part in parts if not isinstance(part, TextPart) or part.text]


def _check_role(fields: MessageFields, place: str) -> None:
    """Refuse fields that have content and belong to another role."""
    if fields.role != "assistant":
        for name in ("tool_calls", "function_call", "reasoning_content", "reasoning"):
            if getattr(fields, name):
                raise InvalidRequest(f"Only an assistant's message has '{name}'.", param=f"{place}.{name}")
    if fields.role != "tool" and fields.tool_call_id:
        raise InvalidRequest("Only a message of role 'tool' has 'tool_call_id'.", param=f"{place}.tool_call_id")


def _to_call(fields: ToolCallFields, place: str) -> ToolCallPart:
    if fields.id is None:
        raise validation.missing(f"{place}.id")
    validation.check_length(f"{place}.id", fields.id, _ID_CHARS, 1)
    validation.check_choice(f"{place}.type", fields.type, ("function", "custom"))
    if fields.type == "custom":
        if fields.custom is None:
            raise validation.missing(f"{place}.custom")
        return to_custom_call(fields.id, fields.custom, f"{place}.custom")
    if fields.function is None:
        raise validation.missing(f"{place}.function")
    return to_function_call(fields.id, fields.function, f"{place}.function")


def to_custom_call(call_id: str, fields: CustomCallFields, place: str) -> ToolCallPart:
    """Make the call of a custom tool: for a model it is a function whose only argument is `input`.

    Raises InvalidRequest naming the field of `place`.
    """
    name = check_name(fields.name, f"{place}.name")
    if fields.input is None:
        raise validation.missing(f"{place}.input")
    validation.check_length(f"{place}.input", fields.input, MAX_JSON_CHARS)
    return ToolCallPart(call_id, name, msgspec.json.encode({"input": fields.input}).decode())


def to_function_call(call_id: str, fields: FunctionCallFields, place: str) -> ToolCallPart:
    """Make the call of a function. Raises InvalidRequest naming the field of `place`."""
    name = check_name(fields.name, f"{place}.name")
    place = f"{place}.arguments"
    if fields.arguments is None:
        raise validation.missing(place)
    validation.check_length(place, fields.arguments, MAX_JSON_CHARS)
    # Several servers and clients write a call without arguments as an empty text.
    arguments = fields.arguments if fields.arguments.strip() else "{}"
    try:
        decoded = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else excerpt(str(error))
        raise _invalid(place, f"the arguments of a call must be a JSON object: {why}.") from error
    if not isinstance(decoded, dict):
        raise _invalid(place, "the arguments of a call must be a JSON object.")
    check_depth(decoded, place)
    return ToolCallPart(call_id, name, arguments)


def _invalid(place: str, why: str, code: str = "invalid_value") -> InvalidRequest:
    return InvalidRequest(f"Invalid '{place}': {why}", param=place, code=code)
