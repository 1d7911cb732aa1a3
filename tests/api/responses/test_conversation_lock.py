"""The reservation of a conversation."""

import asyncio

import pytest

from homeport.api.responses import conversation_lock
from homeport.api.responses.conversation_lock import ConversationLock
from homeport.domain.errors import Conflict, HomeportError, NotFound, Unavailable
from tests.api.responses.fakes import FakeConversationRepository


class Renewals(FakeConversationRepository):
    """Conversations whose reservation fails with `errors`, in turn, once it is renewed."""

    def __init__(self, *errors: HomeportError) -> None:
        super().__init__()
        self.create("local", {}, ())
        self.errors = list(errors)
        self.renewed = asyncio.Event()
        self.loop = asyncio.get_running_loop()

    def lock(self, project: str, conversation_id: str, owner: str, lease_s: float) -> None:
        """Reserve, or fail to renew."""
        if self.history:
            if self.errors:
                raise self.errors.pop(0)
            self.loop.call_soon_threadsafe(self.renewed.set)
        super().lock(project, conversation_id, owner, lease_s)


@pytest.fixture(autouse=True)
def _short_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation_lock, "LEASE_S", 0.01)


def lock_of(repository: FakeConversationRepository, *, is_kept: bool = False) -> ConversationLock:
    """Make the lock of a response."""
    return ConversationLock(repository, "local", "conv_0", "resp_1", is_kept=is_kept)


async def test_a_reservation_is_renewed_until_its_end() -> None:
    """A long response keeps its conversation, also when the database fails for a moment, and then releases it."""
    repository = Renewals(Unavailable("busy"))
    async with asyncio.timeout(30), lock_of(repository) as lock:
        await repository.renewed.wait()
        lock.check()
        assert repository.locks == {"conv_0": "resp_1"}
    assert not repository.locks


async def test_a_released_conversation_is_free_before_the_context_ends() -> None:
    """A caller who has the whole answer may ask again at once, and the end of the context takes nothing from them."""
    repository = Renewals()
    async with asyncio.timeout(30), lock_of(repository) as lock:
        await lock.release()
        assert not repository.locks
        repository.locks["conv_0"] = "resp_2"
    assert repository.locks == {"conv_0": "resp_2"}


@pytest.mark.parametrize("error", [Conflict("taken"), NotFound("deleted")])
async def test_a_lost_reservation_adds_nothing(error: HomeportError) -> None:
    """Once another response has the conversation, or nobody, the response learns it before it stores anything."""
    repository = Renewals(error)
    async with asyncio.timeout(30), lock_of(repository) as lock:
        with pytest.raises(type(error)):
            await _check_forever(lock)


async def test_the_run_of_a_background_response_keeps_its_reservation() -> None:
    """What stores the response ends the reservation, so that no other one reads the conversation before."""
    repository = Renewals()
    async with lock_of(repository, is_kept=True):
        pass
    assert repository.locks == {"conv_0": "resp_1"}


async def _check_forever(lock: ConversationLock) -> None:
    while True:
        lock.check()
        await asyncio.sleep(0)
