"""What the child process of `test_model_process` runs: its model is a number, and each command multiplies by it."""

import os

import msgspec

from homeport.engines.model_process import Failure, ReplyPipe, run_commands


class Load(msgspec.Struct, frozen=True, tag="load"):
    """Load the number `factor`; 0 cannot be loaded."""

    factor: int


class Multiply(msgspec.Struct, frozen=True, tag="multiply"):
    """Multiply. A negative number ends the process with that exit code."""

    number: int


class Product(msgspec.Struct, frozen=True, tag="product"):
    """The answer to either command."""

    number: int


Command = Load | Multiply
REPLIES: "msgspec.msgpack.Decoder[Product | Failure]" = msgspec.msgpack.Decoder(Product | Failure)
_COMMANDS: "msgspec.msgpack.Decoder[Command]" = msgspec.msgpack.Decoder(Command)


def _load(command: Command, replies: ReplyPipe) -> tuple[int, ReplyPipe]:
    assert isinstance(command, Load)
    if command.factor == 0:
        raise ValueError("no factor")
    replies.send(Product(command.factor))
    return command.factor, replies


def _run(model: tuple[int, ReplyPipe], command: Command) -> None:
    assert isinstance(command, Multiply)
    if command.number < 0:
        os._exit(-command.number)
    factor, replies = model
    if command.number > 100:
        raise OverflowError("too large")
    replies.send(Product(factor * command.number))


def main() -> None:
    """Run."""
    run_commands(_COMMANDS, _load, _run)
