"""Repositories of responses, conversations and chat completions in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from homeport.domain.errors import Conflict, InvalidRequest, NotFound
from homeport.domain.paging import Page, PageRequest
from homeport.domain.responses import (
    Conversation,
    Item,
    ResponseEnd,
    ResponseEvent,
    StoredCompletion,
    StoredResponse,
)

T = TypeVar("T", Item, StoredCompletion)


@dataclass
class FakeConversationRepository:
    """Conversations in memory. `locks`: the owner of each reserved conversation; `history`: what was locked, in order.

    `now`: the time in seconds at which conversations are created.
    """

    now: int = 1_800_000_000
    conversations: dict[str, Conversation] = field(default_factory=dict)
    contents: dict[str, list[Item]] = field(default_factory=dict)
    locks: dict[str, str] = field(default_factory=dict)
    history: list[str] = field(default_factory=list)

    def create(self, project: str, metadata: Mapping[str, str], items: Sequence[Item]) -> Conversation:
        """Create a conversation."""
        conversation_id = f"conv_{len(self.conversations)}"
        made = Conversation(id=conversation_id, project=project, created_at=self.now, metadata=dict(metadata))
        self.conversations[made.id] = made
        self.contents[made.id] = list(items)
        return made

    def get(self, project: str, conversation_id: str) -> Conversation:
        """Return a conversation."""
        found = self.conversations.get(conversation_id)
        if found is None or found.project != project:
            raise NotFound(f"Conversation with id '{conversation_id}' not found.")
        return found

    def update(self, project: str, conversation_id: str, metadata: Mapping[str, str]) -> Conversation:
        """Replace the metadata."""
        changed = msgspec.structs.replace(self.get(project, conversation_id), metadata=dict(metadata))
        self.conversations[conversation_id] = changed
        return changed

    def delete(self, project: str, conversation_id: str) -> None:
        """Delete a conversation."""
        self.get(project, conversation_id)
        del self.conversations[conversation_id], self.contents[conversation_id]

    def add_items(self, project: str, conversation_id: str, items: Sequence[Item]) -> None:
        """Append items."""
        known = {item.id for item in self.items(project, conversation_id)}
        for item in items:
            if item.id in known:
                raise InvalidRequest(f"Item with id '{item.id}' already exists.", param="items")
        self.contents[conversation_id].extend(items)

    def items(self, project: str, conversation_id: str) -> Sequence[Item]:
        """Return all items."""
        self.get(project, conversation_id)
        return tuple(self.contents[conversation_id])

    def list_items(self, project: str, conversation_id: str, page: PageRequest) -> Page[Item]:
        """Return a page of items."""
        return page_of(self.items(project, conversation_id), page)

    def get_item(self, project: str, conversation_id: str, item_id: str) -> Item:
        """Return one item."""
        for item in self.items(project, conversation_id):
            if item.id == item_id:
                return item
        raise NotFound(f"Item with id '{item_id}' not found in conversation with id '{conversation_id}'.")

    def find_items(self, project: str, ids: Sequence[str]) -> Sequence[Item]:
        """Return the items with these ids, of all conversations of a project."""
        mine = (each.id for each in self.conversations.values() if each.project == project)
        return [item for conversation_id in mine for item in self.contents[conversation_id] if item.id in ids]

    def delete_item(self, project: str, conversation_id: str, item_id: str) -> None:
        """Delete one item."""
        item = self.get_item(project, conversation_id, item_id)
        self.contents[conversation_id].remove(item)

    def lock(self, project: str, conversation_id: str, owner: str, lease_s: float) -> None:
        """Reserve a conversation."""
        self.get(project, conversation_id)
        if self.locks.get(conversation_id, owner) != owner:
            raise Conflict("Another response runs in this conversation.", code="conversation_locked")
        self.locks[conversation_id] = owner
        self.history.append(f"lock {conversation_id}")

    def unlock(self, conversation_id: str, owner: str) -> None:
        """End a reservation."""
        if self.locks.get(conversation_id) == owner:
            del self.locks[conversation_id]
            self.history.append(f"unlock {conversation_id}")


@dataclass
class FakeResponseRepository:
    """Responses in memory, the oldest first. `conversations` receive the items of those that belong to one.

    `expired`: ids that are only found as a part of a chain; `owners`: who runs a background response; `cancelling`:
    those that are to be cancelled.
    """

    conversations: FakeConversationRepository = field(default_factory=FakeConversationRepository)
    responses: dict[str, StoredResponse] = field(default_factory=dict)
    events: dict[str, list[ResponseEvent]] = field(default_factory=dict)
    expired: set[str] = field(default_factory=set)
    owners: dict[str, str] = field(default_factory=dict)
    cancelling: set[str] = field(default_factory=set)

    def add(self, response: StoredResponse, events: Sequence[ResponseEvent] = ()) -> None:
        """Store a response."""
        if response.status in ("completed", "incomplete") and response.conversation_id:
            items = (*response.input, *response.output)
            self.conversations.add_items(response.project, response.conversation_id, items)
        self.responses[response.id] = response
        self.events[response.id] = list(events)

    def get(self, project: str, response_id: str) -> StoredResponse:
        """Return a response."""
        if response_id in self.expired:
            raise _not_found(response_id)
        return self._find(project, response_id)

    def chain(self, project: str, response_id: str) -> Sequence[StoredResponse]:
        """Return a response and what it continues."""
        found = [self.get(project, response_id)]
        while found[0].previous_id:
            found.insert(0, self._find(project, found[0].previous_id))
        return found

    def delete(self, project: str, response_id: str) -> None:
        """Delete a response."""
        self.get(project, response_id)
        del self.responses[response_id], self.events[response_id]

    def cancel(self, project: str, response_id: str) -> StoredResponse:
        """Ask to end a background response."""
        found = self.get(project, response_id)
        if not found.is_background:
            raise InvalidRequest("Cannot cancel a synchronous response.")
        if found.has_ended:
            return found
        if response_id in self.owners:
            self.cancelling.add(response_id)
        else:
            found = self.responses[response_id] = msgspec.structs.replace(found, status="cancelled")
        return found

    def claim(self, owner: str, lease_s: float) -> StoredResponse | None:
        """Take ownership of the oldest background response without an owner."""
        for each in self.responses.values():
            if each.is_background and not each.has_ended and each.id not in self.owners:
                self.owners[each.id] = owner
                return each
        return None

    def start(self, owner: str, response_id: str) -> None:
        """Record that a response runs."""
        found = self._owned(owner, response_id)
        self.responses[response_id] = msgspec.structs.replace(found, status="in_progress")

    def renew(self, owner: str, lease_s: float) -> Sequence[str]:
        """Return the owner's responses that are to be cancelled."""
        return [each for each in self.cancelling if self.owners.get(each) == owner]

    def add_events(self, owner: str, response_id: str, events: Sequence[ResponseEvent]) -> None:
        """Append events."""
        self._owned(owner, response_id)
        self.events[response_id].extend(events)

    def finish(self, owner: str, response_id: str, end: ResponseEnd) -> None:
        """End a background response."""
        found = self._owned(owner, response_id)
        ended = msgspec.structs.replace(found, status=end.status, body=end.body, output=end.output)
        self.add(ended, (*self.events[response_id], *end.events))
        del self.owners[response_id]
        self.cancelling.discard(response_id)

    def list_events(self, project: str, response_id: str, after: int, limit: int) -> Sequence[ResponseEvent]:
        """Return events after a number."""
        self.get(project, response_id)
        return [event for event in self.events[response_id] if event.number > after][:limit]

    def sweep(self) -> int:
        """Delete nothing."""
        return 0

    def _find(self, project: str, response_id: str) -> StoredResponse:
        found = self.responses.get(response_id)
        if found is None or found.project != project:
            raise _not_found(response_id)
        return found

    def _owned(self, owner: str, response_id: str) -> StoredResponse:
        if self.owners.get(response_id) != owner:
            raise _not_found(response_id)
        return self.responses[response_id]


@dataclass
class FakeCompletionRepository:
    """Chat completions in memory, the oldest first."""

    completions: dict[str, StoredCompletion] = field(default_factory=dict)

    def add(self, completion: StoredCompletion) -> None:
        """Store a completion."""
        self.completions[completion.id] = completion

    def get(self, project: str, completion_id: str) -> StoredCompletion:
        """Return a completion."""
        found = self.completions.get(completion_id)
        if found is None or found.project != project:
            raise NotFound(f"Chat completion with id '{completion_id}' not found.")
        return found

    def list_page(
        self, project: str, page: PageRequest, *, model: str | None = None, metadata: Mapping[str, str] | None = None
    ) -> Page[StoredCompletion]:
        """Return a page of completions."""
        wanted = (metadata or {}).items()
        found = [
            each
            for each in self.completions.values()
            if each.project == project and model in (None, each.model) and wanted <= each.metadata.items()
        ]
        return page_of(found, page)

    def update(self, project: str, completion_id: str, metadata: Mapping[str, str]) -> StoredCompletion:
        """Replace the metadata."""
        changed = msgspec.structs.replace(self.get(project, completion_id), metadata=dict(metadata))
        self.completions[completion_id] = changed
        return changed

    def delete(self, project: str, completion_id: str) -> None:
        """Delete a completion."""
        self.get(project, completion_id)
        del self.completions[completion_id]

    def sweep(self) -> int:
        """Delete nothing."""
        return 0


def page_of(records: Sequence[T], page: PageRequest) -> Page[T]:
    """Return a page of records that are given the oldest first."""
    ordered = list(reversed(records)) if page.is_newest_first else list(records)
    if page.after is not None:
        ids = [each.id for each in ordered]
        if page.after not in ids:
            raise InvalidRequest(f"Invalid 'after': the list has no object '{page.after}'.", param="after")
        ordered = ordered[ids.index(page.after) + 1 :]
    limit = len(ordered) if page.limit is None else page.limit
    return Page(items=tuple(ordered[:limit]), has_more=len(ordered) > limit)


def _not_found(response_id: str) -> NotFound:
    return NotFound(f"Response with id '{response_id}' not found.")
