"""From the body of a response to the engine request and the response as it begins, checks included.

Knows no template and no model, and nothing of input items, tools or storage.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET

from homeport.api.chat.messages import VERBOSITIES, add_verbosity
from homeport.api.chat.reasoning import EFFORTS
from homeport.api.request_context import RequestContext
from homeport.api.responses.response_object import ConversationReference, ResponseObject
from homeport.api.responses.schema import ConversationBody, ReasoningBody, ResponseBody, TextBody, TextFormat
from homeport.api.text_generation.convert import to_sampling, to_stopping
from homeport.domain import validation
from homeport.domain.content import Message, ReasoningPart
from homeport.domain.errors import InvalidRequest
from homeport.domain.format_fields import to_schema_text
from homeport.domain.models import ResolvedModel
from homeport.domain.text import ChatPrompt, TextRequest
from homeport.domain.tool_fields import check_name
from homeport.domain.tools import JsonFormat, OutputFormat, Reasoning, ToolUse

LOGPROBS = "message.output_text.logprobs"
ENCRYPTED_REASONING = "reasoning.encrypted_content"

_FORMAT = "text.format"
_FORMAT_TYPES = ("text", "json_object", "json_schema")
_SUMMARIES = ("auto", "concise", "detailed")


class PromptFields(NamedTuple):
    """The fields that shape a prompt besides its messages."""

    text: TextBody | None = None
    reasoning: ReasoningBody | None = None
    truncation: str | None = None


def to_prompt(messages: Sequence[Message], tools: ToolUse | None, fields: PromptFields) -> ChatPrompt:
    """Make the prompt. Raises InvalidRequest naming the field."""
    verbosity = fields.text.verbosity if fields.text else None
    if fields.reasoning and fields.reasoning.context == "current_turn":
        messages = _without_earlier_reasoning(messages)
    return ChatPrompt(
        add_verbosity(tuple(messages), verbosity),
        tools,
        to_reasoning(fields.reasoning),
        drops_oldest=fields.truncation == "auto",
        param="input",
    )


def _without_earlier_reasoning(messages: Sequence[Message]) -> Sequence[Message]:
    """Return the messages without the reasoning that precedes the user's last one."""
    last = max((at for at, message in enumerate(messages) if message.role == "user"), default=0)
    earlier = (
        msgspec.structs.replace(
            message, parts=tuple(part for part in message.parts if not isinstance(part, ReasoningPart))
        )
        for message in messages[:last]
    )
    return [*(message for message in earlier if message.parts), *messages[last:]]


def to_request(
    body: ResponseBody,
    prompt: ChatPrompt,
    resolved: ResolvedModel,
    context: RequestContext,
    default_tokens: int | None = None,
) -> TextRequest:
    """Make the engine request. `default_tokens` bounds the answer if the body does not, but not below `min_tokens`.

    Raises InvalidRequest naming the field.
    """
    return TextRequest(
        prompts=(prompt,),
        sampling=to_sampling(body),
        stopping=to_stopping(body, body.max_output_tokens, "max_output_tokens", default_tokens),
        logprobs=(body.top_logprobs or 0) if has_logprobs(body) else None,
        project=context.caller.project,
        encoding=resolved.encoding,
        is_background=context.is_background,
        adapter=resolved.adapter,
        output_format=to_output_format(body.text),
    )


def to_response(
    body: ResponseBody, response_id: str, created_at: int, *, tools: Sequence[Any], is_stored: bool
) -> ResponseObject:
    """Make the response as it begins. `tools` as they are returned; `created_at` in seconds since 1970."""
    conversation = conversation_id(body.conversation)
    return ResponseObject(
        id=response_id,
        created_at=created_at,
        background=bool(body.background),
        instructions=body.instructions,
        max_output_tokens=body.max_output_tokens,
        max_tool_calls=body.max_tool_calls,
        model=body.model or "",
        parallel_tool_calls=body.parallel_tool_calls is not False,
        previous_response_id=body.previous_response_id,
        conversation=ConversationReference(conversation) if conversation else None,
        prompt_cache_key=body.prompt_cache_key,
        prompt_cache_retention=body.prompt_cache_retention,
        reasoning={"effort": body.reasoning.effort if body.reasoning else None, "summary": summary_of(body.reasoning)},
        safety_identifier=body.safety_identifier,
        store=is_stored,
        temperature=1.0 if body.temperature is None else body.temperature,
        text=_text_echo(body.text),
        tool_choice="auto" if body.tool_choice is None else body.tool_choice,
        tools=tools,
        top_logprobs=body.top_logprobs or 0,
        top_p=1.0 if body.top_p is None else body.top_p,
        truncation=body.truncation or "disabled",
        user=body.user or UNSET,
        metadata=body.metadata or {},
    )


def conversation_id(conversation: str | ConversationBody | None) -> str | None:
    """Return the id of a conversation, which may be given by itself."""
    return conversation.id if isinstance(conversation, ConversationBody) else conversation


def has_logprobs(body: ResponseBody) -> bool:
    """Return whether the answer's tokens have scores."""
    return LOGPROBS in (body.include or ()) or bool(body.top_logprobs)


def summary_of(fields: ReasoningBody | None) -> str | None:
    """Return which summary of the reasoning is asked for, under either of its names."""
    return (fields.summary or fields.generate_summary) if fields else None


def check_prompt_fields(fields: PromptFields) -> None:
    """Check what shapes a prompt besides its messages. Raises InvalidRequest naming the field."""
    validation.check_choice("truncation", fields.truncation, ("auto", "disabled"))
    validation.check_choice("text.verbosity", fields.text.verbosity if fields.text else None, tuple(VERBOSITIES))
    to_output_format(fields.text)
    if fields.reasoning is not None:
        _check_reasoning(fields.reasoning)


def to_reasoning(fields: ReasoningBody | None) -> Reasoning:
    """Convert how much the model thinks."""
    effort = fields.effort if fields else None
    return Reasoning("xhigh" if effort == "max" else effort)


def to_output_format(text: TextBody | None) -> OutputFormat | None:
    """Convert the format that the answer's text must have; None: any. Raises InvalidRequest naming the field."""
    fields = text.format if text else None
    if fields is None:
        return None
    if fields.type is None:
        raise validation.missing(f"{_FORMAT}.type")
    validation.check_choice(f"{_FORMAT}.type", fields.type, _FORMAT_TYPES)
    if fields.type == "json_schema":
        check_name(fields.name, f"{_FORMAT}.name")
        if fields.schema is None:
            raise validation.missing(f"{_FORMAT}.schema")
        return JsonFormat(to_schema_text(fields.schema, f"{_FORMAT}.schema"), f"{_FORMAT}.schema")
    for name in ("name", "description", "schema", "strict"):
        if getattr(fields, name) is not None:
            raise InvalidRequest(f"A text format of type '{fields.type}' has no '{name}'.", param=f"{_FORMAT}.{name}")
    return JsonFormat(None, _FORMAT) if fields.type == "json_object" else None


def _check_reasoning(fields: ReasoningBody) -> None:
    validation.check_choice("reasoning.effort", fields.effort, EFFORTS)
    for name in ("summary", "generate_summary"):
        value = getattr(fields, name)
        validation.check_choice(f"reasoning.{name}", value, _SUMMARIES)
        if value == "concise":
            raise validation.unsupported_field(
                f"reasoning.{name}", "Reasoning is returned as it is: use 'auto' or 'detailed'."
            )
    if fields.summary and fields.generate_summary and fields.summary != fields.generate_summary:
        raise InvalidRequest(
            "'reasoning.generate_summary' is the former name of 'reasoning.summary': give only one of them.",
            param="reasoning.generate_summary",
            code="invalid_parameter_combination",
        )
    if fields.mode not in (None, "standard"):
        raise validation.unsupported_field("reasoning.mode", "Only 'standard' is served.")
    validation.check_choice("reasoning.context", fields.context, ("auto", "current_turn", "all_turns"))


def _text_echo(text: TextBody | None) -> Mapping[str, Any]:
    fields = (text.format if text else None) or TextFormat(type="text")
    format: dict[str, Any] = {"type": fields.type}
    if fields.type == "json_schema":
        format |= {"name": fields.name, "schema": fields.schema, "strict": bool(fields.strict)}
        if fields.description is not None:
            format["description"] = fields.description
    return {"format": format, "verbosity": (text.verbosity if text else None) or "medium"}
