"""`python -m homeport.training.worker JOB`: train, in a process of the lowest priority.

JOB is a `TrainingSpec` as JSON. Standard input stays open while the result is wanted: the process ends when it is
closed. Each line of standard output is a `domain.training.TrainingEvent` as JSON. At SIGTERM the state is saved between
two steps, and the process ends; a process that was killed resumes from the last state when it is started again. Knows
nothing of models' names, nor of callers.
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
"""Exit code after SIGTERM: the progress is saved."""

MAX_EXAMPLE_TOKENS = 2048  # tokens of one example, unless the model's window is shorter
_NICENESS = 15
_FORMAT = 1  # changes with everything that changes the result of the same spec
_OVERHEAD_BYTES = 1_500_000_000  # an estimate for torch, its buffers and one pass, in addition to the weights
_TOO_LITTLE = (
    "There is too little memory to fine-tune this model: use a smaller one or shorter examples, or end other programs."
)
_NO_MEMORY = ("can't allocate memory", "out of memory")

_stop_requested = threading.Event()


def main(argument: str) -> int:
    """Train what the argument specifies; return the exit code."""
    spec = msgspec.json.decode(argument, type=TrainingSpec, dec_hook=lambda _, text: Path(text))
    signal.signal(signal.SIGTERM, lambda *_: _stop_requested.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _lower_priority()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        return 0 if _train(spec) else EXIT_STOPPED
    except HomeportError as error:
        _print_event(TrainingFailed(error.info))
        return 1
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not any(words in str(error) for words in _NO_MEMORY):
            raise
        _print_event(
            TrainingFailed(Unavailable(f"{_TOO_LITTLE} {_memory_limit(spec) / 1e9:.1f} GB are available now.").info)
        )
        return 1


def _lower_priority() -> None:
    """Compute only when the processor is idle: on Linux, any other process preempts this one at once."""
    os.nice(_NICENESS)
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _train(spec: TrainingSpec) -> bool:
    """Train; False if it was stopped before the end."""
    try:
        import torch  # imported here, because only training needs the extra
    except ImportError as error:
        raise ExtraNotInstalled(MISSING) from error
    from homeport.training import lora_file
    from homeport.training.decoder import Decoder, LoraFactors, precision
    from homeport.training.trainer import Trainer

    source = _source(spec)
    config = DecoderConfig.read(source.metadata)
    chosen = spec.hyperparameters
    data = _read(spec, source)
    chosen = schedule.resolve_hyperparameters(chosen, len(data.training))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    weight_precision = precision(device)
    _limit_memory(spec, source, weight_precision.itemsize)
    weights = {}
    for name, rows in source.tensors():
        is_matrix = rows.shape[0] > 1
        weights[name] = torch.from_numpy(rows if is_matrix else rows[0]).to(
            device, weight_precision if is_matrix else torch.float32
        )
    source.close()
    config.check(weights)
    if spec.threads:
        torch.set_num_threads(spec.threads)
    factors = LoraFactors(weights, chosen.seed)
    if spec.initial_adapter is not None:
        lora_file.load_adapter(factors, source.adapter(spec.initial_adapter))
    decoder = Decoder(config, weights, factors)
    trainer = Trainer(spec.folder, _identity(spec, chosen), decoder, data, chosen, _print_event)
    return trainer.run(lambda: not _stop_requested.is_set())


def _source(spec: TrainingSpec) -> ModelReader:
    """Return the model's reader, by name: engines are known by name only."""
    module, _, function = spec.reader.partition(":")
    load = cast("Callable[[Path, Path | None], ModelReader]", getattr(importlib.import_module(module), function))
    return load(spec.weights, spec.library)


def _read(spec: TrainingSpec, source: ModelReader) -> TrainingData:
    """Tokenize the examples of both files."""
    chosen = spec.hyperparameters
    max_tokens = min(source.window, MAX_EXAMPLE_TOKENS)
    tokenizer = ExampleTokenizer(source, max_tokens=max_tokens, prompt_weight=chosen.prompt_loss_weight)
    all_examples: list[Sequence[Example]] = []
    tokenized: list[list[TokenizedExample] | list[TokenizedPair]] = []
    for file, param in (
        (spec.training_file, classification_eval.TRAINING),
        (spec.validation_file, classification_eval.VALIDATION),
    ):
        examples = dataset.read(file, chosen.method, param) if file else []
        texts, pairs = tokenizer.tokenize_all(examples, param)
        all_examples.append(examples)
        tokenized.append(pairs or texts)
    training, validation = tokenized
    if validation and type(validation[0]) is not type(training[0]):
        raise InvalidRequest("Both files must hold examples of the same form.", param=classification_eval.VALIDATION)
    classification = chosen.classification
    return TrainingData(
        training,
        validation,
        classification_eval.build_eval(classification, all_examples[0], all_examples[1], tokenizer)
        if classification
        else None,
    )


def _limit_memory(spec: TrainingSpec, source: ModelReader, size: int) -> None:
    """Limit the memory of this process, with weights of `size` bytes. Raises Unavailable if it cannot be enough."""
    needed = source.parameters * size + _OVERHEAD_BYTES
    limit = _memory_limit(spec)
    if needed > limit:
        raise Unavailable(f"{_TOO_LITTLE} About {needed / 1e9:.1f} GB are needed, {limit / 1e9:.1f} GB are available.")
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.RLIM_INFINITY))


def _memory_limit(spec: TrainingSpec) -> int:
    return spec.memory_bytes or int(psutil.virtual_memory().available)


def _identity(spec: TrainingSpec, chosen: Hyperparameters) -> str:
    parts: Sequence[Any] = (_FORMAT, spec.digest, _hash(spec.training_file), _hash(spec.validation_file), chosen)
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def _hash(file: Path | None) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file else ""


def _print_event(event: TrainingEvent) -> None:
    sys.stdout.write(msgspec.json.encode(event).decode() + "\n")
    sys.stdout.flush()


def _end_with_parent() -> None:
    """Exit as soon as standard input is closed; saved state stays."""
    while os.read(0, 1 << 10):  # not `sys.stdin`: a thread that waits in it aborts an interpreter that exits
        pass
    os._exit(1)


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stderr)
    code = main(sys.argv[1])
    sys.stdout.flush()
    os._exit(code)  # without unloading native libraries
