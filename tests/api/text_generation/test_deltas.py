"""Which pieces of a choice are written."""

from typing import get_args, get_type_hints

from homeport.api.text_generation.choices import Choice
from homeport.domain.events import Delta, Event


def test_every_delta_that_an_engine_may_send_is_written() -> None:
    """The deltas among the events are those that a choice accepts; the others cannot be sent yet."""
    accepted = get_type_hints(Choice.add)["delta"]
    assert set(get_args(Event)) & set(get_args(Delta)) == set(get_args(accepted) or (accepted,))
