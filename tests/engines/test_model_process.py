"""A child process loads a model, obeys commands, says what fails, and ends with this process's interest in it."""

from collections.abc import Iterator

import pytest

from homeport.domain.errors import EngineFailed
from homeport.engines.model_process import Failure, ModelProcess
from tests.conftest import NewChildren
from tests.engines.model_process_child import REPLIES, Load, Multiply, Product

Process = ModelProcess[Product | Failure]
MODULE = "tests.engines.model_process_child"


@pytest.fixture
def process() -> Iterator[Process]:
    """A process that has loaded nothing."""
    started: Process = ModelProcess(MODULE, REPLIES)
    yield started
    started.kill()


def reply(process: Process) -> Product | Failure:
    """Return the next reply."""
    return next(each for each in process.replies() if each is not None)


def test_commands_are_answered_in_order(process: Process) -> None:
    """The first command loads, and each later one is answered."""
    for command in (Load(3), Multiply(2), Multiply(5)):
        process.send(command)
    assert [reply(process) for _ in range(3)] == [Product(3), Product(6), Product(15)]


def test_a_failed_command_is_reported_and_the_next_one_runs(process: Process) -> None:
    """What a command raises is a reply with its reason; the process goes on."""
    for command in (Load(3), Multiply(101), Multiply(2)):
        process.send(command)
    assert [reply(process) for _ in range(3)] == [
        Product(3),
        Failure("OverflowError: too large"),
        Product(6),
    ]


def test_a_failed_load_ends_the_process(process: Process) -> None:
    """After a load that raises, its reason is the last reply, and the exit code is in the error after it."""
    process.send(Load(0))
    assert reply(process) == Failure("ValueError: no factor")
    with pytest.raises(EngineFailed, match="ended with exit code 1"):
        reply(process)


def test_a_process_that_ends_is_an_error(process: Process) -> None:
    """If the process ends in the middle of a command, reading its replies and sending more both say so."""
    process.send(Load(3))
    assert reply(process) == Product(3)
    process.send(Multiply(-7))
    with pytest.raises(EngineFailed, match="model_process_child process ended with exit code 7"):
        reply(process)
    with pytest.raises(EngineFailed, match="exit code 7"):
        process.send(Multiply(1))


def test_killing_it_leaves_no_process(new_children: NewChildren) -> None:
    """After `kill` the process is gone, though it was waiting for a command."""
    process: Process = ModelProcess(MODULE, REPLIES)
    process.send(Load(3))
    assert reply(process) == Product(3)
    assert len(new_children()) == 1
    process.kill()
    assert new_children() == []
