"""What steps were measured to cost, and where that is kept from one start to the next. Knows nothing of policy."""

import logging
from pathlib import Path

import msgspec

from homeport.formats import atomic

logger = logging.getLogger("homeport.text")


class Costs(msgspec.Struct):
    """Seconds per token by size, as the power of two below it: `decode` of tokens of streams, `prefill` of prompts.

    `draft`: seconds that a token computed on a guess adds, by the streams of its step.
    `machine` says what they hold for: other weights, kernels or threads cost otherwise.
    """

    machine: str = ""
    decode: dict[int, float] = {}
    prefill: dict[int, float] = {}
    draft: dict[int, float] = {}


class CostFile:
    """One model's costs on this machine. A file that is another's, broken or absent counts as none."""

    def __init__(self, path: Path, machine: str) -> None:
        self._path = path
        self._machine = machine

    def read(self) -> Costs:
        """What was measured earlier."""
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=Costs)
        except (OSError, msgspec.DecodeError):
            return Costs(self._machine)
        return found if found.machine == self._machine else Costs(self._machine)

    def write(self, costs: Costs) -> None:
        """Keep costs; where that fails they are learnt again, and the log says why."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            atomic.write_file(self._path, msgspec.json.encode(costs), mode=0o666, is_durable=False)
        except OSError as error:
            logger.warning("the costs of steps cannot be kept in %s: %s", self._path, error.strerror)
