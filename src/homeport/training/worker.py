"""`python -m homeport.training.worker JOB`: train, in a process that computes when nobody else does.

JOB is a `TrainingSpec` as JSON. Standard input stays open while the result is wanted: its end ends the process.
Each line of standard output is one of `domain.tuning.Told` as JSON. At SIGTERM the state is kept between two steps, and
the process ends; a process that was killed goes on from the last state when it is started again.
Knows nothing of models' names, nor of who asked.
"""

import hashlib
import importlib
import logging
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec
import psutil

from homeport.domain.errors import (
    ExtraNotInstalled,
    HomeportError,
    InvalidRequest,
    Unavailable,
)
from homeport.domain.training import (
    Hyperparameters,
    TrainingEvent,
    TrainingFailed,
    TrainingSpec,
)
from homeport.training import classification_eval, dataset, schedule
from homeport.training.classification_eval import TrainingData
from homeport.training.dataset import Example
from homeport.training.decoder_config import DecoderConfig
from homeport.training.tokenization import (
    ExampleTokenizer,
    ModelReader,
    TokenizedExample,
    TokenizedPair,
)

MISSING = "Fine-tuning needs PyTorch, which is not installed: pip install 'homeport[train]' (in a clone: make train)."

EXIT_STOPPED = 75
"""Exit code after SIGTERM: what was done is kept."""

MAX_EXAMPLE_TOKENS = 2048  # tokens of one example, where the model's window is not shorter
_NICENESS = 15
_FORMAT = 1  # changes with whatever makes the same job come out otherwise
_OVERHEAD_BYTES = 1_500_000_000  # bytes that torch, its buffers and one pass take beside the weights, about
_TOO_LITTLE = (
    "There is too little memory to fine-tune this model: take a smaller one or shorter examples, or end other programs."
)
_NO_MEMORY = ("can't allocate memory", "out of memory")

_asked_to_stop = threading.Event()


def main(argument: str) -> int:
    """Train what the argument asks for; give the exit code."""
    job = msgspec.json.decode(argument, type=TrainingSpec, dec_hook=lambda _, text: Path(text))
    signal.signal(signal.SIGTERM, lambda *_: _asked_to_stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _lower_priority()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        return 0 if _train(job) else EXIT_STOPPED
    except HomeportError as error:
        _print_event(TrainingFailed(error.info))
        return 1
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not any(words in str(error) for words in _NO_MEMORY):
            raise
        _print_event(
            TrainingFailed(Unavailable(f"{_TOO_LITTLE} {_memory_limit(job) / 1e9:.1f} GB may be taken now.").info)
        )
        return 1


def _lower_priority() -> None:
    """Compute when nobody else does: on Linux, whoever wakes up goes before this process at once."""
    os.nice(_NICENESS)
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _train(job: TrainingSpec) -> bool:
    """Train; False where it was asked to stop before the end."""
    try:
        import torch  # here, since only now is the extra needed
    except ImportError as error:
        raise ExtraNotInstalled(MISSING) from error
    from homeport.training import lora_file
    from homeport.training.decoder import Decoder, LoraFactors, precision
    from homeport.training.trainer import Trainer

    source = _source(job)
    shape = DecoderConfig.read(source.metadata)
    chosen = job.hyperparameters
    lessons = _read(job, source)
    chosen = schedule.resolve_hyperparameters(chosen, len(lessons.training))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    kept = precision(device)
    _limit_memory(job, source, kept.itemsize)
    weights = {}
    for name, rows in source.tensors():
        is_matrix = rows.shape[0] > 1
        weights[name] = torch.from_numpy(rows if is_matrix else rows[0]).to(
            device, kept if is_matrix else torch.float32
        )
    source.close()
    shape.check(weights)
    if job.threads:
        torch.set_num_threads(job.threads)
    factors = LoraFactors(weights, chosen.seed)
    if job.initial_adapter is not None:
        lora_file.load_adapter(factors, source.adapter(job.initial_adapter))
    decoder = Decoder(shape, weights, factors)
    under_way = Trainer(job.folder, _identity(job, chosen), decoder, lessons, chosen, _print_event)
    return under_way.run(lambda: not _asked_to_stop.is_set())


def _source(job: TrainingSpec) -> ModelReader:
    """The model's reader, by name: engines are known by name only."""
    module, _, function = job.reader.partition(":")
    load = cast("Callable[[Path, Path | None], ModelReader]", getattr(importlib.import_module(module), function))
    return load(job.weights, job.library)


def _read(job: TrainingSpec, source: ModelReader) -> TrainingData:
    """What both files teach."""
    chosen = job.hyperparameters
    longest = min(source.window, MAX_EXAMPLE_TOKENS)
    tutor = ExampleTokenizer(source, longest=longest, prompt_weight=chosen.prompt_loss_weight)
    both: list[Sequence[Example]] = []
    found: list[list[TokenizedExample] | list[TokenizedPair]] = []
    for file, param in (
        (job.training_file, classification_eval.TRAINING),
        (job.validation_file, classification_eval.VALIDATION),
    ):
        examples = dataset.read(file, chosen.method, param) if file else []
        lessons, pairs = tutor.tokenize_all(examples, param)
        both.append(examples)
        found.append(pairs or lessons)
    training, validation = found
    if validation and type(validation[0]) is not type(training[0]):
        raise InvalidRequest("Both files must hold examples of one form.", param=classification_eval.VALIDATION)
    asked = chosen.classification
    return TrainingData(
        training, validation, classification_eval.build_eval(asked, both[0], both[1], tutor) if asked else None
    )


def _limit_memory(job: TrainingSpec, source: ModelReader, size: int) -> None:
    """Bound what this process may take, with weights of `size` bytes. Raises Unavailable where it cannot be enough."""
    needed = source.parameters * size + _OVERHEAD_BYTES
    most = _memory_limit(job)
    if needed > most:
        raise Unavailable(f"{_TOO_LITTLE} About {needed / 1e9:.1f} GB are needed, {most / 1e9:.1f} GB may be taken.")
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_DATA, (most, resource.RLIM_INFINITY))


def _memory_limit(job: TrainingSpec) -> int:
    return job.memory_bytes or int(psutil.virtual_memory().available)


def _identity(job: TrainingSpec, chosen: Hyperparameters) -> str:
    parts: Sequence[Any] = (_FORMAT, job.digest, _hash(job.training_file), _hash(job.validation_file), chosen)
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def _hash(file: Path | None) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file else ""


def _print_event(told: TrainingEvent) -> None:
    sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
    sys.stdout.flush()


def _end_with_parent() -> None:
    """End as soon as nobody holds the other end of standard input; what was kept stays."""
    while os.read(0, 1 << 10):  # not `sys.stdin`: a thread that waits in it aborts an interpreter that ends
        pass
    os._exit(1)


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stderr)
    code = main(sys.argv[1])
    sys.stdout.flush()
    os._exit(code)  # without tearing native libraries down
