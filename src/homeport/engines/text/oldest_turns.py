"""Shortens a conversation that does not fit the window, by whole turns from its beginning.

A turn is a user's message with all that follows it up to the next one, so calls and their results are dropped together.
Knows nothing of templates or tokenizers.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import msgspec

from homeport.domain.content import Message, ToolResultPart
from homeport.domain.errors import ContextOverflow
from homeport.domain.text import ChatPrompt
from homeport.engines.text.prepared_prompt import PreparedPrompt

MIN_ANSWER_TOKENS = 64
"""The room that is made for an answer without a limit of its own."""
_SYSTEM = ("system", "developer")


def change_name(n_turns: int) -> str:
    """Return the name of the change, as callers see it."""
    return f"oldest-turns-dropped-{n_turns}"


def split_turns(messages: Sequence[Message]) -> tuple[Sequence[Message], Sequence[Sequence[Message]]]:
    """Return the system messages at the beginning, and the turns after them."""
    start = next((at for at, message in enumerate(messages) if message.role not in _SYSTEM), len(messages))
    starts = [at for at in range(start, len(messages)) if at == start or _starts_turn(messages[at])]
    return messages[:start], [messages[at:end] for at, end in pairwise([*starts, len(messages)])]


def prepare_shortened(
    prompt: ChatPrompt, size_limit: int, prepare: Callable[[ChatPrompt], PreparedPrompt]
) -> PreparedPrompt:
    """Prepare a conversation without as many of its oldest turns as needed to have at most `size_limit` tokens.

    The last turn stays, however long it is. `prepare` raises ContextOverflow for a conversation that is far too long,
    which is raised only if it is the last turn that does not fit.
    """
    system, turns = split_turns(prompt.messages)

    def attempt(n_dropped: int) -> PreparedPrompt:
        kept = [message for turn in turns[n_dropped:] for message in turn]
        prepared = prepare(msgspec.structs.replace(prompt, messages=(*system, *kept)) if n_dropped else prompt)
        changes = (*prepared.changes, change_name(n_dropped)) if n_dropped else prepared.changes
        return msgspec.structs.replace(prepared, changes=changes)

    def fitting(n_dropped: int) -> PreparedPrompt | None:
        try:
            prepared = attempt(n_dropped)
        except ContextOverflow:
            return None
        return prepared if len(prepared.ids) <= size_limit else None

    last = len(turns) - 1
    if last < 1:
        return attempt(0)
    if (whole := fitting(0)) is not None:
        return whole
    low, high, best = 1, last, attempt(last)
    while low < high:
        middle = (low + high) // 2
        if (found := fitting(middle)) is None:
            low = middle + 1
        else:
            high, best = middle, found
    return best


def _starts_turn(message: Message) -> bool:
    return message.role == "user" and not any(isinstance(part, ToolResultPart) for part in message.parts)
