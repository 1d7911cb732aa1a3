"""How much a chat's answer may think: OpenAI's `reasoning_effort`, and the switches of other servers' clients."""

from homeport.api.chat.schema import ChatBody
from homeport.domain import validation
from homeport.domain.errors import InvalidRequest
from homeport.domain.tools import Reasoning

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


def to_reasoning(body: ChatBody) -> Reasoning:
    """Convert the effort and the limit. Raises InvalidRequest for fields that contradict each other."""
    validation.check_choice("reasoning_effort", body.reasoning_effort, EFFORTS)
    validation.check_integer("thinking_token_budget", body.thinking_token_budget, 0, validation.TOKEN_ID_MAX)
    effort = "xhigh" if body.reasoning_effort == "max" else body.reasoning_effort
    switch = _to_switch(body)
    if switch is not None and effort is not None and switch != (effort != "none"):
        raise _contradiction("chat_template_kwargs", "reasoning_effort")
    if switch is not None and effort is None:
        effort = "high" if switch else "none"
    budget = body.thinking_token_budget
    if budget == 0:
        if effort not in (None, "none"):
            raise _contradiction("thinking_token_budget", "reasoning_effort")
        return Reasoning("none")
    return Reasoning(effort, None if effort == "none" else budget)


def _to_switch(body: ChatBody) -> bool | None:
    """Return whether the variables of templates turn reasoning on or off."""
    if body.chat_template_kwargs is None:
        return None
    variables = body.chat_template_kwargs
    given = {value for value in (variables.enable_thinking, variables.thinking) if value is not None}
    if len(given) > 1:
        raise _contradiction("chat_template_kwargs.thinking", "chat_template_kwargs.enable_thinking")
    return given.pop() if given else None


def _contradiction(name: str, other: str) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid value for '{name}': it contradicts '{other}'.", param=name, code="invalid_parameter_combination"
    )
