"""From the body of a message to the engine request, checks included. Knows no template and no model."""

from typing import NamedTuple

from homeport.api.image_inputs.collection import ImageInputs
from homeport.api.messages.blocks import read_instructions
from homeport.api.messages.history import OpenThinking, to_messages
from homeport.api.messages.schema import ContextEdit, MessagesBody, OutputFormatBody, PromptBody
from homeport.api.messages.tools import DeclaredTools, to_tools
from homeport.api.request_context import RequestContext
from homeport.api.text_generation.convert import MAX_STOP_CHARS
from homeport.domain import validation
from homeport.domain.errors import InvalidRequest, excerpt
from homeport.domain.format_fields import to_schema_text
from homeport.domain.models import ResolvedModel
from homeport.domain.text import ChatPrompt, SamplingParams, StoppingCriteria, TextRequest
from homeport.domain.tools import JsonFormat, OutputFormat, Reasoning

MAX_STOP_SEQUENCES = 64
EFFORTS = ("low", "medium", "high", "xhigh", "max")
_DEFAULT_EFFORT = "high"
_THINKING = ("enabled", "disabled", "adaptive")
_CLEAR_THINKING = "clear_thinking_20251015"
_BILLING = "x-anthropic-billing-header:"
"""The beginning of a block that Claude Code adds for Anthropic's accounting, which removes it. It is no instruction."""


class ReadPrompt(NamedTuple):
    """A prompt, with its tools as they were declared."""

    prompt: ChatPrompt
    tools: DeclaredTools


def to_prompt(body: PromptBody, open_thinking: OpenThinking, images: ImageInputs | None) -> ReadPrompt:
    """Make the prompt of a body. Raises InvalidRequest naming the field."""
    _check_prompt(body)
    tools = to_tools(body.tools, body.tool_choice)  # before the messages, which cost more
    messages = to_messages(_instructions(body), body.messages, open_thinking, images)
    return ReadPrompt(ChatPrompt(messages, tools.use, to_reasoning(body)), tools)


def to_request(body: MessagesBody, prompt: ChatPrompt, resolved: ResolvedModel, context: RequestContext) -> TextRequest:
    """Make the engine request. Raises InvalidRequest naming the field."""
    default = SamplingParams()
    return TextRequest(
        prompts=(prompt,),
        sampling=SamplingParams(
            temperature=default.temperature if body.temperature is None else body.temperature,
            top_p=default.top_p if body.top_p is None else body.top_p,
            top_k=max(0, body.top_k or 0),
        ),
        # Callers must give a limit, and give that of a larger model's answers: it may be more than there is room for.
        stopping=StoppingCriteria(default_tokens=body.max_tokens, stop=tuple(body.stop_sequences or ())),
        project=context.caller.project,
        encoding=resolved.encoding,
        is_background=context.is_background,
        adapter=resolved.adapter,
        output_format=to_output_format(body),
    )


def check_body(body: MessagesBody) -> None:
    """Check all fields but those of the prompt. Raises InvalidRequest naming the field."""
    if body.max_tokens is None:
        raise validation.missing("max_tokens")
    validation.check_integer("max_tokens", body.max_tokens, 1, validation.TOKEN_ID_MAX)
    validation.check_number("temperature", body.temperature, 0, 2)
    validation.check_number("top_p", body.top_p, 0, 1)
    validation.check_integer("top_k", body.top_k, -1, validation.TOKEN_ID_MAX)
    validation.check_items("stop_sequences", body.stop_sequences, MAX_STOP_SEQUENCES)
    for at, each in enumerate(body.stop_sequences or ()):
        validation.check_length(f"stop_sequences[{at}]", each, MAX_STOP_CHARS, 1)
    validation.check_choice("service_tier", body.service_tier, ("auto", "standard_only"))
    validation.check_length("inference_geo", body.inference_geo, validation.LABEL_CHARS)
    user = body.metadata.user_id if body.metadata else None
    validation.check_length("metadata.user_id", user, validation.LABEL_CHARS)
    thinking = body.thinking
    if thinking is not None and thinking.budget_tokens is not None and thinking.budget_tokens >= body.max_tokens:
        raise InvalidRequest(
            f"Invalid 'thinking.budget_tokens': {thinking.budget_tokens} is not less than 'max_tokens' "
            f"({body.max_tokens}), which counts the thinking, too.",
            param="thinking.budget_tokens",
            code="invalid_value",
        )
    for name, why in (
        ("container", "Code is not executed."),
        ("compaction", "Use '/v1/responses' with 'context_management', or send fewer messages."),
        ("fallbacks", "The model that is named answers."),
        ("thread", "Send all messages."),
    ):
        if getattr(body, name):
            raise validation.unsupported_field(name, why)


def to_reasoning(body: PromptBody) -> Reasoning:
    """Convert how much the model thinks, which it does only if it is asked to."""
    thinking = body.thinking
    if thinking is None or thinking.type == "disabled":
        return Reasoning("none")
    effort = (body.output_config and body.output_config.effort) or _DEFAULT_EFFORT
    return Reasoning("xhigh" if effort == "max" else effort, thinking.budget_tokens)


def to_output_format(body: PromptBody) -> OutputFormat | None:
    """Convert the form that the answer's text must have; None: any. Raises InvalidRequest naming the field."""
    current = body.output_config.format if body.output_config else None
    if current is not None and body.output_format is not None:
        raise InvalidRequest(
            "'output_format' is the former name of 'output_config.format': give only one of them.",
            param="output_format",
            code="invalid_parameter_combination",
        )
    if current is not None:
        return _to_json(current, "output_config.format")
    return _to_json(body.output_format, "output_format") if body.output_format is not None else None


def _to_json(fields: OutputFormatBody, place: str) -> JsonFormat:
    validation.check_choice(f"{place}.type", fields.type, ("json_schema",))
    if fields.schema is None:
        raise validation.missing(f"{place}.schema")
    return JsonFormat(to_schema_text(fields.schema, f"{place}.schema"), f"{place}.schema")


def _instructions(body: PromptBody) -> str:
    system = body.system or ""
    if not isinstance(system, str):
        system = [block for block in system if not (block.text or "").startswith(_BILLING)]
    return read_instructions(system)


def _check_prompt(body: PromptBody) -> None:
    _check_thinking(body)
    effort = body.output_config.effort if body.output_config else None
    validation.check_choice("output_config.effort", effort, EFFORTS)
    if body.output_config is not None and body.output_config.task_budget is not None:
        raise validation.unsupported_field("output_config.task_budget", "Use 'max_tokens'.")
    to_output_format(body)
    for at, edit in enumerate((body.context_management and body.context_management.edits) or ()):
        _check_edit(edit, f"context_management.edits[{at}]")
    validation.check_choice("speed", body.speed, ("standard", "fast"))
    if body.speed == "fast":
        raise validation.unsupported_field("speed", "There is one speed: 'standard'.")
    if body.mcp_servers:
        raise validation.unsupported_field("mcp_servers", "Use '/v1/responses' with tools of type 'mcp'.")


def _check_thinking(body: PromptBody) -> None:
    thinking = body.thinking
    if thinking is None:
        return
    if thinking.type == "between_tools":
        raise validation.unsupported_field("thinking.type", "Use 'adaptive' or 'enabled'.")
    validation.check_choice("thinking.type", thinking.type, _THINKING)
    validation.check_choice("thinking.display", thinking.display, ("summarized", "omitted"))
    if thinking.type == "enabled" and thinking.budget_tokens is None:
        raise validation.missing("thinking.budget_tokens")
    if thinking.type != "enabled" and thinking.budget_tokens is not None:
        raise InvalidRequest(
            f"Thinking of type '{thinking.type}' has no 'budget_tokens'.", param="thinking.budget_tokens"
        )
    validation.check_integer("thinking.budget_tokens", thinking.budget_tokens, 1, validation.TOKEN_ID_MAX)


def _check_edit(edit: ContextEdit, place: str) -> None:
    """Refuse edits of the context that would change something."""
    if edit.type != _CLEAR_THINKING:
        raise validation.unsupported_field(
            f"{place}.type", f"'{excerpt(edit.type)}' is not served: send the messages as the model is to read them."
        )
    if edit.keep not in (None, "all"):
        raise validation.unsupported_field(
            f"{place}.keep", "Only 'all' is served: templates leave earlier thinking out by themselves."
        )
