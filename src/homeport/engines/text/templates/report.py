"""Describes a chat template for users: a program that reads one from standard input and writes a report as JSON.

It renders small conversations in the same way as a server. Knows nothing of models.
"""

import sys

import msgspec

from homeport.domain.content import Message, text_message
from homeport.domain.models import TemplateReport
from homeport.domain.text import ChatPrompt
from homeport.engines.text.templates.message_variants import FOLDED, MERGED
from homeport.engines.text.templates.renderer import TemplateRenderer, is_known
from homeport.engines.text.templates.sandbox import ChatTemplateError

_TOKENS = {f"{short}_token": f"<{short}>" for short in ("bos", "eos", "unk", "pad")}
_CASES = (
    ("system messages", (text_message("system", "Be brief."), text_message("user", "Hello."))),
    ("consecutive messages of one role", (text_message("user", "Hello."), text_message("user", "Again."))),
)
_WORDS = {
    (): "accepted unchanged",
    (FOLDED,): "put into the user's next message",
    (MERGED,): "merged, separated by a blank line",
    (FOLDED, MERGED): "put into the user's next message",
}


def describe(source: str) -> TemplateReport:
    """Render the sample conversations with a template and report the results."""
    try:
        renderer = TemplateRenderer(source, _TOKENS)
    except ChatTemplateError as error:
        return TemplateReport(fault=str(error))
    notes = [f"{name}: {_result(renderer, messages)}" for name, messages in _CASES]
    notes.append(f"messages of the role developer: {'accepted' if renderer.knows_developer else 'as system messages'}")
    notes += _support_notes(renderer)
    place = "in the model's process" if is_known(source) else "in a separate process"
    renderer.close()
    return TemplateReport(notes=(*notes, f"rendered {place}"))


def _support_notes(renderer: TemplateRenderer) -> list[str]:
    """Describe the family of the model's tool calls and the switch of its reasoning."""
    support = renderer.support
    if support.is_generic:
        tools = "no place in the template, described in the system message"
    else:
        tools = f"{support.format.family} ({'verified' if support.is_verified else 'unverified'})"
    if support.format.reasoning is None:
        return [f"tools: {tools}", "reasoning: none"]
    marks = f"{support.format.reasoning.begin} … {support.format.reasoning.end}"
    return [f"tools: {tools}", f"reasoning: {marks}, switch: {support.switch.name or 'none'}"]


def _result(renderer: TemplateRenderer, messages: tuple[Message, ...]) -> str:
    try:
        return _WORDS[renderer.render_prompt(ChatPrompt(messages)).changes]
    except ChatTemplateError as error:
        return f"refused ({error})"


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(describe(sys.stdin.buffer.read().decode("utf-8", "replace"))))
