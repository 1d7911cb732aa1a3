"""What a response continues, and how it is stored. Knows no items and no fields of the body."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from starlette.requests import Request

from homeport.api.responses.conversation_lock import ConversationLock, naming_conversation
from homeport.api.responses.plan import FinishedResponse
from homeport.api.responses.response_object import ResponseObject
from homeport.api.services import caller, services
from homeport.domain.errors import InvalidRequest, NotFound, Unavailable, excerpt
from homeport.domain.ports.responses import ConversationRepository, ResponseRepository
from homeport.domain.responses import Item, StoredResponse


def can_store(request: Request) -> bool:
    """Return whether this server stores responses."""
    server = services(request)
    return server.responses is not None and server.response_keep_s != 0


def response_repository(request: Request) -> ResponseRepository:
    """Return the stored responses. Raises Unavailable if the server stores none."""
    responses = services(request).responses
    if responses is None:
        raise Unavailable("This server does not store responses.")
    return responses


def conversation_repository(request: Request) -> ConversationRepository:
    """Return the conversations. Raises Unavailable if the server stores none."""
    conversations = services(request).conversations
    if conversations is None:
        raise Unavailable("This server does not store conversations.")
    return conversations


async def load_earlier(request: Request, previous_id: str | None, conversation_id: str | None) -> Sequence[Item]:
    """Return the items that precede the input, the oldest first.

    Raises InvalidRequest for a previous response that does not exist or has not ended, NotFound for a conversation.
    """
    project = caller(request).project
    if previous_id is not None:
        return await _load_chain(request, project, previous_id)
    if conversation_id is not None:
        with naming_conversation():
            return await asyncio.to_thread(conversation_repository(request).items, project, conversation_id)
    return ()


async def _load_chain(request: Request, project: str, previous_id: str) -> Sequence[Item]:
    try:
        if services(request).responses is None:
            raise NotFound("No response is stored.")
        chain = await asyncio.to_thread(response_repository(request).chain, project, previous_id)
    except NotFound as error:
        raise InvalidRequest(
            f"Previous response with id '{excerpt(previous_id)}' not found.",
            param="previous_response_id",
            code="previous_response_not_found",
        ) from error
    if not chain[-1].has_ended:
        raise InvalidRequest(
            f"The previous response is {chain[-1].status.replace('_', ' ')}: it can be continued when it has ended.",
            param="previous_response_id",
            code="previous_response_not_ended",
        )
    return [item for response in chain for item in (*response.input, *response.output)]


def storing(
    request: Request, base: ResponseObject, items: tuple[Item, ...], lock: ConversationLock | None
) -> Callable[[FinishedResponse], Awaitable[None]]:
    """Return what stores a response at its end. `items`: those of its input; `lock`: that of its conversation."""
    keep_s = services(request).response_keep_s
    project, repository = caller(request).project, response_repository(request)

    async def store(finished: FinishedResponse) -> None:
        if lock is not None:
            lock.check()
        response = StoredResponse(
            id=base.id,
            project=project,
            status=finished.status,
            created_at=base.created_at,
            body=finished.body,
            expires_at=None if keep_s is None else base.created_at + keep_s,
            previous_id=base.previous_response_id,
            conversation_id=base.conversation.id if base.conversation else None,
            input=items,
            output=finished.output,
        )
        with naming_conversation():  # it may have been deleted meanwhile
            await asyncio.to_thread(repository.add, response)
        if lock is not None:
            await lock.release()

    return store
