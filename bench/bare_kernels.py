"""The floor: the same batches computed by the bare kernels through our binding, without a server.

Prompts are computed in batches of as many tokens as fit; then all sequences step together, and each takes its most
likely token. As a program (`python -m bench.bare_kernels WEIGHTS LIBRARY THREADS SEQUENCES CELLS`) it reads one load
per line from standard input and writes its outcome, so that the kernels run in a process of their own, as those of the
servers do. All layers are on a GPU if the kernels find one.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np

from bench import processes
from bench.processes import Child
from bench.run_stats import Outcome
from bench.workload import Workload
from homeport.engines.text.executor import Executor, TokenBatch
from homeport.engines.text.executors.llama.executor import LlamaOptions, load

SEQUENCES, SEQUENCE_CELLS, BATCH = 32, 1024, 2048


class _LoadCommand(msgspec.Struct):
    work: Workload
    turn: int


class Floor(msgspec.Struct):
    """The running floor program. Implements `bench.rounds.Side`."""

    child: Child

    def measure(self, work: Workload, turn: int) -> Outcome:
        """Compute a load. Raises RuntimeError with its last output if it fails."""
        stdin, stdout = self.child.process.stdin, self.child.process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the floor program has no pipes")
        stdin.write(msgspec.json.encode(_LoadCommand(work, turn)) + b"\n")
        stdin.flush()
        line = stdout.readline()
        if not line:
            raise RuntimeError(f"the floor program ended: {self.child.last_output()}")
        return msgspec.json.decode(line, type=Outcome)


@contextmanager
def running(
    weights: Path, library: Path, threads: int, sequences: int = SEQUENCES, cells: int = SEQUENCE_CELLS
) -> Iterator[Floor]:
    """Run the floor program with these weights and kernels until the context ends. `cells`: of each sequence."""
    command = [sys.executable, "-m", "bench.bare_kernels", str(weights), str(library)]
    command += [str(number) for number in (threads, sequences, cells)]
    with processes.running(command, pipes=True) as child:
        yield Floor(child)


def decode(executor: Executor, work: Workload, turn: int) -> Outcome:
    """Compute a load on an executor whose sequences are all empty, and empty them again."""
    prompts = work.prompts(turn)
    start = time.perf_counter()
    leaders = range(0, len(prompts) * work.n, work.n)  # the sequence of each prompt's first choice
    shared = work.shared_tokens
    if shared:
        executor.forward(_batch([(0, 0, prompts[0][:shared])], logits_indices=[]))
        for sequence in leaders[1:]:
            executor.fork(0, sequence, shared)
    remainders = [(sequence, shared, prompt[shared:]) for sequence, prompt in zip(leaders, prompts, strict=True)]
    latest = np.zeros(len(prompts) * work.n, np.int32)
    ttft: list[float] = []
    for group in _packed(remainders, executor.traits.batch):
        ends = np.cumsum([len(tokens) for _, _, tokens in group]) - 1
        firsts = executor.forward(_batch(group, logits_indices=ends)).argmax(axis=1)
        for (sequence, _, _), token in zip(group, firsts, strict=True):
            for target in range(sequence + 1, sequence + work.n):
                executor.fork(sequence, target, shared + work.prompt_tokens)
            latest[sequence : sequence + work.n] = token
        ttft += [time.perf_counter() - start] * len(group)
    every_sequence = np.arange(len(latest), dtype=np.int32)
    stamps = [time.perf_counter()]
    for step in range(work.output_tokens - 1):
        positions = np.full(len(latest), shared + work.prompt_tokens + step, np.int32)
        latest = (
            executor.forward(TokenBatch(latest, positions, every_sequence, every_sequence))
            .argmax(axis=1)
            .astype(np.int32)
        )
        stamps.append(time.perf_counter())
    wall_s = time.perf_counter() - start
    executor.release(range(len(latest)))
    gaps = np.repeat(np.diff(stamps), len(latest)).tolist()
    return Outcome(wall_s, len(latest) * work.output_tokens, errors=0, ttft_s=ttft, gaps_s=gaps)


Part = tuple[int, int, list[int]]  # a sequence, the position of its next token, and tokens


def _packed(parts: list[Part], max_tokens: int) -> Iterator[list[Part]]:
    """Group whole prompts so that each group fits one batch."""
    group: list[Part] = []
    for part in parts:
        if group and sum(len(tokens) for _, _, tokens in [*group, part]) > max_tokens:
            yield group
            group = []
        group.append(part)
    yield group


def _batch(parts: list[Part], logits_indices: "list[int] | np.typing.NDArray[np.int64]") -> TokenBatch:
    return TokenBatch(
        tokens=np.array([token for _, _, tokens in parts for token in tokens], np.int32),
        positions=np.concatenate([np.arange(at, at + len(tokens), dtype=np.int32) for _, at, tokens in parts]),
        sequences=np.concatenate([np.full(len(tokens), sequence, np.int32) for sequence, _, tokens in parts]),
        logits_indices=np.array(logits_indices, np.int32),
    )


def main(weights: str, library: str, threads: str, sequences: str, cells: str) -> None:
    """Compute loads from standard input until it ends."""
    options = LlamaOptions(
        cells=int(sequences) * int(cells),
        sequences=int(sequences),
        batch=BATCH,
        threads=int(threads),
        library=Path(library),
        kv="streams",
    )
    executor = load(Path(weights), options)
    for line in sys.stdin.buffer:
        command = msgspec.json.decode(line, type=_LoadCommand)
        sys.stdout.buffer.write(msgspec.json.encode(decode(executor, command.work, command.turn)) + b"\n")
        sys.stdout.buffer.flush()
    executor.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
