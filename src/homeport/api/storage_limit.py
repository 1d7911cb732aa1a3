"""Refuses a request whose answer is to be stored while its project is at its storage limit, before any work.

Whether the answer itself fits is only known at its end, when it is stored.
"""

import asyncio

from starlette.requests import Request

from homeport.api.services import caller, services


async def check_room(request: Request) -> None:
    """Raise InvalidRequest naming `store` if the project of the caller is at its storage limit."""
    storage = services(request).storage
    if storage is not None:
        await asyncio.to_thread(storage.check_room, caller(request).project, "store")
