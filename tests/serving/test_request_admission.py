"""Admission while a server starts, serves and drains."""

import asyncio

import msgspec
import pytest

from homeport.domain.errors import Overloaded, Unavailable
from homeport.serving.request_admission import RequestAdmission
from tests.serving.conftest import QUICK


async def test_requests_are_admitted_while_the_server_accepts() -> None:
    """Before the start and from the drain on requests are refused; the drain ends with the last request."""
    admission = RequestAdmission(QUICK)
    with pytest.raises(Unavailable):
        admission.admit("m", "", is_background=False)
    admission.accepts = True
    tickets = [admission.admit("m", "", is_background=False) for _ in range(2)]
    finishing = asyncio.create_task(admission.finish(60.0))
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="shutting down"):
        admission.admit("m", "", is_background=False)
    tickets[0].release()
    tickets[0].release()
    await asyncio.sleep(0)
    assert not finishing.done()
    tickets[1].release()
    await finishing


async def test_the_drain_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    """A drain gives up on requests that do not end in time, and says how many."""
    admission = RequestAdmission(QUICK)
    admission.accepts = True
    admission.admit("m", "", is_background=False)
    await admission.finish(0.01)
    assert "1 requests were not finished" in caplog.text


async def test_background_requests_have_places_of_their_own() -> None:
    """A background request takes no caller's place."""
    admission = RequestAdmission(msgspec.structs.replace(QUICK, slots=1, max_queue=0))
    admission.accepts = True
    admission.admit("m", "", is_background=True)
    admission.admit("m", "", is_background=False)
    for is_background in (True, False):
        with pytest.raises(Overloaded):
            admission.admit("m", "", is_background=is_background)
