"""The item that a model is writing: what is known of it so far, and what it is when it ends.

Knows nothing of events of streams or of other items.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from msgspec import UNSET

from homeport.api import json_codec
from homeport.api.responses.items import read_input
from homeport.api.responses.output_items import (
    FileCitation,
    OutputCall,
    OutputCompaction,
    OutputCustomCall,
    OutputFunctionCall,
    OutputItem,
    OutputLocalShellCall,
    OutputMessage,
    OutputPatchCall,
    OutputReasoning,
    OutputShellCall,
    OutputText,
    ReasoningText,
    SummaryText,
)
from homeport.api.responses.plan import CallTarget
from homeport.api.text_generation.token_logprobs import TokenLogprob, to_token_logprobs
from homeport.domain.errors import InvalidRequest
from homeport.domain.events import ScoredToken

IN_PROGRESS, COMPLETED, INCOMPLETE = "in_progress", "completed", "incomplete"
_SHELL_LIMITS = {"timeout_ms": None, "max_output_length": None}


class OpenItem(Protocol):
    """An item that is being written. `index`: its place in the output. `pieces`: its text, which is appended to."""

    id: str
    index: int
    pieces: list[str]

    @property
    def text(self) -> str:
        """What was written of it: text, or the arguments of a call."""
        ...

    def render(self, status: str) -> OutputItem:
        """Return the item as it is now."""
        ...


class _Texts:
    """The text of an item, collected from its pieces."""

    def __init__(self, item_id: str, index: int) -> None:
        self.id = item_id
        self.index = index
        self.pieces: list[str] = []

    @property
    def text(self) -> str:
        """All text so far."""
        if len(self.pieces) > 1:  # joined once: the text is asked for several times when the item ends
            self.pieces = ["".join(self.pieces)]
        return self.pieces[0] if self.pieces else ""


class OpenMessage(_Texts):
    """A message. `citations`: of its text, known when it ends."""

    def __init__(self, item_id: str, index: int) -> None:
        super().__init__(item_id, index)
        self.citations: Sequence[FileCitation] = ()
        self._scored: list[ScoredToken] = []

    @property
    def logprobs(self) -> list[TokenLogprob]:
        """The log-probabilities of its tokens."""
        return to_token_logprobs(self._scored)

    def add_scored(self, scored: Sequence[ScoredToken]) -> None:
        """Append the scores of its next tokens."""
        self._scored.extend(scored)

    def part(self) -> OutputText:
        """Return its content, which is one part."""
        return OutputText(text=self.text, annotations=self.citations, logprobs=self.logprobs)

    def render(self, status: str) -> OutputMessage:
        """Return the message as it is now."""
        return OutputMessage(id=self.id, status=status, content=[] if status == IN_PROGRESS else [self.part()])


class OpenReasoning(_Texts):
    """Reasoning. `has_summary`: it is returned as the summary. `seal` makes its `encrypted_content`, if asked for."""

    def __init__(self, item_id: str, index: int, *, has_summary: bool, seal: Callable[[str], str] | None) -> None:
        super().__init__(item_id, index)
        self.has_summary = has_summary
        self._seal = seal

    def part(self) -> ReasoningText | SummaryText:
        """Return its only part."""
        return SummaryText(self.text) if self.has_summary else ReasoningText(self.text)

    def render(self, status: str) -> OutputReasoning:
        """Return the reasoning as it is now."""
        text = "" if status == IN_PROGRESS else self.text
        return OutputReasoning(
            id=self.id,
            status=status,
            summary=[SummaryText(text)] if self.has_summary and text else [],
            content=UNSET if self.has_summary else [ReasoningText(text)] if text else [],
            encrypted_content=self._seal(text) if self._seal and text else UNSET,
        )


class OpenCompaction(_Texts):
    """A summary, sealed at its end. `seal` makes its `encrypted_content`."""

    def __init__(self, item_id: str, index: int, seal: Callable[[str], str]) -> None:
        super().__init__(item_id, index)
        self._seal = seal

    def render(self, status: str) -> OutputCompaction:
        """Return the summary, which has no status."""
        del status
        return OutputCompaction(id=self.id, encrypted_content=self._seal(self.text))


class OpenCall(_Texts):
    """A call of a tool."""

    def __init__(self, item_id: str, index: int, call_id: str, target: CallTarget) -> None:
        super().__init__(item_id, index)
        self.target = target
        self._call_id = call_id

    def render(self, status: str) -> OutputCall:
        """Return the call as it is now."""
        name, namespace = self.target.name, self.target.namespace or UNSET
        text = "" if status == IN_PROGRESS else self.text
        if self.target.kind == "custom":
            return OutputCustomCall(
                id=self.id, status=status, call_id=self._call_id, input=text, name=name, namespace=namespace
            )
        return OutputFunctionCall(
            id=self.id, status=status, arguments=text, call_id=self._call_id, name=name, namespace=namespace
        )


class OpenAction(OpenCall):
    """A call of a tool that the caller executes. Its arguments are known only at its end."""

    def render(self, status: str) -> OutputCall:
        """Return the call. One that was cut, or lacks what the tool needs, is one of a function, and incomplete."""
        del status  # the arguments tell: they may be whole, even if the answer ended by length right after them
        fields = _decode(self.text)
        rendered = None if fields is None else self._render_action(fields)
        return super().render(INCOMPLETE) if rendered is None else rendered

    def _render_action(self, fields: Mapping[str, Any]) -> OutputCall | None:
        """Return the call with these arguments; None if it would be no valid item of an input."""
        head: dict[str, Any] = {"id": self.id, "status": COMPLETED, "call_id": self._call_id}
        rendered: OutputCall
        if self.target.kind == "local_shell":
            rendered = OutputLocalShellCall(**head, action={**fields, "type": "exec", "env": fields.get("env") or {}})
        elif self.target.kind == "shell":
            rendered = OutputShellCall(**head, action={**_SHELL_LIMITS, **fields}, environment={"type": "local"})
        else:
            rendered = OutputPatchCall(**head, operation=_operation(fields))
        return rendered if _is_valid(rendered) else None


def _operation(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields of a patch: deleting a file has no diff, the other operations have one."""
    if fields.get("type") == "delete_file":
        return {name: value for name, value in fields.items() if name != "diff"}
    return {"diff": "", **fields}


def _is_valid(call: OutputCall) -> bool:
    """Return whether a call is accepted back as input. Grammars do not enforce every schema for every model."""
    try:
        read_input([msgspec.Raw(json_codec.encode(call))])
    except InvalidRequest:
        return False
    return True


def _decode(arguments: str) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode(arguments, type=dict[str, Any])
    except msgspec.DecodeError:
        return None
