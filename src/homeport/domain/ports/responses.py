"""What rooms need of the storage of responses, conversations and chat completions, and what runs background responses.

Repositories are synchronous: the event loop calls them through a thread. A project sees only its own records, and gets
the same NotFound for another project's as for none. What has expired is not found, except as a part of a chain.
"""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from typing import Protocol

from homeport.domain.paging import Page, PageRequest
from homeport.domain.responses import (
    Conversation,
    Item,
    ResponseEnd,
    ResponseEvent,
    StoredCompletion,
    StoredResponse,
)


class ResponseRepository(Protocol):
    """Stored responses.

    The server that runs a background response owns it until its lease expires: writing to one that it lost raises
    NotFound.
    """

    def add(self, response: StoredResponse, events: Sequence[ResponseEvent] = ()) -> None:
        """Store a response, with the first events of a background one.

        If it is completed or incomplete, its items are added to its conversation in the same transaction; one that
        failed or was cancelled leaves its conversation unchanged. Raises InvalidRequest over the project's storage
        limit, NotFound if its conversation is deleted, StorageFull.
        """
        ...

    def get(self, project: str, response_id: str) -> StoredResponse:
        """Return one response. Raises NotFound."""
        ...

    def chain(self, project: str, response_id: str) -> Sequence[StoredResponse]:
        """Return a response and all that it continues, the oldest first, read in one query.

        Raises NotFound if it does not exist or has expired, or if one that it continues was deleted; InvalidRequest if
        the chain is larger than a response may read.
        """
        ...

    def delete(self, project: str, response_id: str) -> None:
        """Delete a response, its items and its events. Raises NotFound."""
        ...

    def cancel(self, project: str, response_id: str) -> StoredResponse:
        """Ask to end a background response, and return it. One without an owner is cancelled at once.

        One that has ended is returned as it is. Raises NotFound, or InvalidRequest if it is not a background response.
        """
        ...

    def claim(self, owner: str, lease_s: float) -> StoredResponse | None:
        """Take ownership of the oldest background response that is neither over nor owned; None: there is none.

        Its status is `queued` if no server ever ran it.
        """
        ...

    def start(self, owner: str, response_id: str) -> None:
        """Record that a queued response runs from now on, also in its body. Raises NotFound."""
        ...

    def renew(self, owner: str, lease_s: float) -> Sequence[str]:
        """Extend the ownership of all that `owner` owns; return the ids of those that are to be cancelled."""
        ...

    def add_events(self, owner: str, response_id: str, events: Sequence[ResponseEvent]) -> None:
        """Append events of a running response, without those that are stored already. Raises NotFound."""
        ...

    def finish(self, owner: str, response_id: str, end: ResponseEnd) -> None:
        """End a background response: its last events, body and items, also those of its conversation, are stored
        together. Raises NotFound.

        Its `request` is empty from then on. A conversation that was deleted meanwhile receives nothing.
        """
        ...

    def list_events(self, project: str, response_id: str, after: int, limit: int) -> Sequence[ResponseEvent]:
        """Return at most `limit` events of a background response whose numbers are above `after`, in order.

        Raises NotFound if the response does not exist.
        """
        ...

    def sweep(self) -> int:
        """Delete what has expired, does not run and is part of no chain that has not expired; return their number."""
        ...


class ConversationRepository(Protocol):
    """Conversations and their items. Every method with a conversation's id raises NotFound if it does not exist."""

    def create(self, project: str, metadata: Mapping[str, str], items: Sequence[Item]) -> Conversation:
        """Create a conversation that begins with these items. Raises InvalidRequest over the storage limit."""
        ...

    def get(self, project: str, conversation_id: str) -> Conversation:
        """Return one conversation."""
        ...

    def update(self, project: str, conversation_id: str, metadata: Mapping[str, str]) -> Conversation:
        """Replace the metadata."""
        ...

    def delete(self, project: str, conversation_id: str) -> None:
        """Delete a conversation and its items."""
        ...

    def add_items(self, project: str, conversation_id: str, items: Sequence[Item]) -> None:
        """Append items. Raises InvalidRequest for an id that the conversation has already, or over a limit."""
        ...

    def items(self, project: str, conversation_id: str) -> Sequence[Item]:
        """Return all items, the oldest first, read in one query.

        Raises InvalidRequest if they are larger than a response may read.
        """
        ...

    def list_items(self, project: str, conversation_id: str, page: PageRequest) -> Page[Item]:
        """Return a page of the items. Raises InvalidRequest for an unknown `after`."""
        ...

    def get_item(self, project: str, conversation_id: str, item_id: str) -> Item:
        """Return one item. Raises NotFound."""
        ...

    def find_items(self, project: str, ids: Sequence[str]) -> Sequence[Item]:
        """Return the items with these ids, of all conversations of a project, the oldest first."""
        ...

    def delete_item(self, project: str, conversation_id: str, item_id: str) -> None:
        """Delete one item. Raises NotFound."""
        ...

    def lock(self, project: str, conversation_id: str, owner: str, lease_s: float) -> None:
        """Reserve a conversation for one response, or extend the reservation that `owner` has.

        Raises Conflict while another one has it.
        """
        ...

    def unlock(self, conversation_id: str, owner: str) -> None:
        """End a reservation, if `owner` has it."""
        ...


class TranscriptRepository(Protocol):
    """The transcripts of spoken answers, which later requests of their project name by id until they expire."""

    def add(self, project: str, audio_id: str, transcript: str, expires_at: int) -> None:
        """Keep a transcript until `expires_at`, in Unix seconds. Raises StorageFull."""
        ...

    def find(self, project: str, audio_ids: Collection[str]) -> Mapping[str, str]:
        """Return those transcripts that are there, by id."""
        ...

    def sweep(self) -> int:
        """Delete what has expired; return the number of transcripts."""
        ...


class CompletionRepository(Protocol):
    """Stored chat completions."""

    def add(self, completion: StoredCompletion) -> None:
        """Store a completion. Raises InvalidRequest over the project's storage limit, StorageFull."""
        ...

    def get(self, project: str, completion_id: str) -> StoredCompletion:
        """Return one completion. Raises NotFound."""
        ...

    def list_page(
        self, project: str, page: PageRequest, *, model: str | None = None, metadata: Mapping[str, str] | None = None
    ) -> Page[StoredCompletion]:
        """Return a page of completions, of one model and with these pairs if given. Raises InvalidRequest."""
        ...

    def update(self, project: str, completion_id: str, metadata: Mapping[str, str]) -> StoredCompletion:
        """Replace the metadata. Raises NotFound."""
        ...

    def delete(self, project: str, completion_id: str) -> None:
        """Delete a completion. Raises NotFound."""
        ...

    def sweep(self) -> int:
        """Delete what has expired; return the number of completions."""
        ...


class ResponseDispatcher(Protocol):
    """Runs the request of a stored background response as if its caller sent it."""

    def __call__(self, response: StoredResponse) -> AsyncGenerator[ResponseEvent, None]:
        """Yield the events of its stream while they arrive, from its first one on. Closing the generator cancels it.

        Raises the error for which the request is refused before its first event: Conflict if its conversation is
        reserved by another response, Overloaded or Unavailable if it can be sent again later.
        """
        ...
