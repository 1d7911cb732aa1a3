"""Describes a chat template for users: a program that reads one from standard input and writes a report as JSON.

It renders small conversations in the same way as a server. Knows nothing of models.
"""

import sys

import msgspec

from homeport.domain.content import Message, text_message
from homeport.domain.models import TemplateReport
from homeport.engines.text.message_variants import FOLDED, MERGED
from homeport.engines.text.template_renderer import TemplateRenderer, is_known
from homeport.engines.text.template_sandbox import ChatTemplateError

_TOKENS = {f"{short}_token": "" for short in ("bos", "eos", "unk", "pad")}
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
    place = "in the model's process" if is_known(source) else "in a separate process"
    renderer.close()
    return TemplateReport(notes=(*notes, f"rendered {place}"))


def _result(renderer: TemplateRenderer, messages: tuple[Message, ...]) -> str:
    try:
        return _WORDS[renderer.render_messages(messages).changes]
    except ChatTemplateError as error:
        return f"refused ({error})"


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(describe(sys.stdin.buffer.read().decode("utf-8", "replace"))))
