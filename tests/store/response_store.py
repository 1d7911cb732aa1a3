"""The repositories of responses, conversations and stored chat completions on one database, with a clock."""

from typing import Any

from homeport.domain.responses import Conversation, Item, ResponseEvent, StoredCompletion, StoredResponse
from homeport.store.completions import SqlCompletionRepository
from homeport.store.conversations import SqlConversationRepository
from homeport.store.database import Database
from homeport.store.project_storage import UNLIMITED, SqlProjectStorage
from homeport.store.responses import SqlResponseRepository
from tests.fake_clock import FakeClock

NOW = 1_800_000_000


class ResponseStore:
    """The repositories, whose projects may store `limit` bytes each."""

    def __init__(self, database: Database, limit: int = UNLIMITED) -> None:
        self.clock = FakeClock(NOW)
        self.storage = SqlProjectStorage(database, limit, clock=self.clock)
        self.responses = SqlResponseRepository(database, self.storage, self.clock)
        self.conversations = SqlConversationRepository(database, self.storage, self.clock)
        self.completions = SqlCompletionRepository(database, self.storage, self.clock)

    def added(self, response_id: str, **more: Any) -> StoredResponse:
        """Add a response of project `one` with one item of input and one of output."""
        wanted: dict[str, Any] = {
            "project": "one",
            "status": "completed",
            "created_at": NOW,
            "body": f'{{"id":"{response_id}","status":"{more.get("status", "completed")}"}}',
            "input": (item(f"in_{response_id}"),),
            "output": (item(f"out_{response_id}"),),
            **more,
        }
        response = StoredResponse(id=response_id, **wanted)
        self.responses.add(response)
        return response

    def queued(self, response_id: str, *events: ResponseEvent, **more: Any) -> StoredResponse:
        """Add a queued background response of project `one`, with its first events."""
        wanted: dict[str, Any] = {
            "project": "one",
            "body": f'{{"id":"{response_id}","status":"queued"}}',
            "input": (item(f"in_{response_id}"),),
            "request": '{"input":"hello"}',
            "key": "key_1",
            **more,
        }
        response = StoredResponse(id=response_id, status="queued", created_at=NOW, is_background=True, **wanted)
        self.responses.add(response, events)
        return response

    def claimed(self, owner: str = "me", lease_s: float = 10) -> str | None:
        """Claim a background response; return its id."""
        response = self.responses.claim(owner, lease_s)
        return None if response is None else response.id

    def conversation(self, *item_ids: str, project: str = "one") -> Conversation:
        """Create a conversation of items with these ids."""
        return self.conversations.create(project, {}, [item(each) for each in item_ids])

    def item_ids(self, conversation: Conversation) -> list[str]:
        """The ids of a conversation's items."""
        return [each.id for each in self.conversations.items(conversation.project, conversation.id)]

    def completed(self, completion_id: str, **more: Any) -> StoredCompletion:
        """Add a chat completion of project `one`."""
        wanted: dict[str, Any] = {
            "project": "one",
            "created_at": NOW,
            "model": "tiny",
            "body": f'{{"id":"{completion_id}","choices":[]}}',
            "messages": ('{"role":"user","content":"é"}', '{"role":"assistant","content":null}'),
            **more,
        }
        completion = StoredCompletion(id=completion_id, **wanted)
        self.completions.add(completion)
        return completion


def item(item_id: str, text: str = r"é \u0000 \n") -> Item:
    """Make a message."""
    return Item(item_id, f'{{"id": "{item_id}",  "type":"message","text":"{text}"}}')


def events(first: int, last: int) -> list[ResponseEvent]:
    """Make the events with these numbers."""
    numbers = range(first, last + 1)
    return [ResponseEvent(number, "response.x", f'{{"sequence_number": {number}}}') for number in numbers]
