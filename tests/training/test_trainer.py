"""Training real weights: the decoder equals llama.cpp, losses fall, and interrupted runs resume."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from homeport.domain.errors import EngineFailed, InvalidRequest, Unavailable
from homeport.domain.training import (
    CheckpointSaved,
    Hyperparameters,
    StepMetrics,
    TrainingEvent,
    TrainingFinished,
    TrainingPrepared,
    TrainingSpec,
)
from homeport.engines.text.executor import TokenBatch
from homeport.engines.text.executors.llama import training_reader
from homeport.engines.text.executors.llama.executor import LlamaExecutor, LlamaOptions, load
from homeport.training.process import TrainingProcess
from tests.conftest import NewChildren
from tests.training import examples

pytestmark = pytest.mark.training

READER = "homeport.engines.text.executors.llama.training_reader:load"
QUICK = Hyperparameters(n_epochs=1, batch_size=5)
TEXT = "The quick brown fox jumps over the lazy dog, and the dog does not mind."


def job(folder: Path, weights: Path, file: Path, hyperparameters: Hyperparameters = QUICK) -> TrainingSpec:
    return TrainingSpec(folder / "work", weights, "digest", READER, file, None, hyperparameters, None, 1)


@pytest.fixture(scope="module")
def executor(smollm2: Path) -> Iterator[LlamaExecutor]:
    """Return the same weights in llama.cpp."""
    made = load(smollm2, LlamaOptions(window=512, cells=512, sequences=1, batch=512, threads=1))
    yield made
    made.close()


def computed(
    executor: LlamaExecutor, ids: list[int], adapter: str = ""
) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    """Return every row of logits in llama.cpp."""
    count = len(ids)
    where = np.arange(count, dtype=np.int32)
    found = executor.forward(
        TokenBatch(np.array(ids, np.int32), where, np.zeros(count, np.int32), where, adapter)
    ).copy()
    executor.release([0])
    return found


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("model", ["smollm2", "qwen"])
def test_the_decoder_computes_what_llama_cpp_does(model: str, precision: str, request: pytest.FixtureRequest) -> None:
    """The logits of both architectures equal the kernels' except for rounding."""
    import torch  # imported here, because the module is collected without PyTorch too

    from homeport.training.decoder import Decoder, LoraFactors
    from homeport.training.decoder_config import DecoderConfig

    weights: Path = request.getfixturevalue(model)
    source = training_reader.load(weights, None)
    ids = source.tokenize_plain(TEXT)
    shape = DecoderConfig.read(source.metadata)
    kept = getattr(torch, precision)
    tensors = {
        name: torch.from_numpy(rows).to(kept) if len(rows) > 1 else torch.from_numpy(rows[0])
        for name, rows in source.tensors()
    }
    source.close()
    shape.check(tensors)
    decoder = Decoder(shape, tensors, LoraFactors(tensors, 0))
    with torch.no_grad():
        found = decoder.logits(decoder.hidden(torch.tensor([ids])))[0].numpy()
    made = load(weights, LlamaOptions(window=512, cells=512, sequences=1, batch=512, threads=1))
    expected = computed(made, ids)
    made.close()
    assert np.abs(found - expected).mean() < 0.1 * expected.std()
    assert (found.argmax(1) == expected.argmax(1)).mean() > 0.8


@pytest.mark.parametrize(("can", "kept"), [({"avx512_bf16": True}, "bfloat16"), ({"avx2": True}, "float32")])
def test_weights_are_narrowed_if_the_processor_supports_it(
    can: dict[str, bool], kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights are kept in bfloat16 if the processor multiplies it natively, else in float32."""
    import torch

    from homeport.training.decoder import precision

    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: can)
    assert precision("cpu") == getattr(torch, kept)


def test_losses_fall_and_the_adapter_is_loaded(tmp_path: Path, smollm2: Path, executor: LlamaExecutor) -> None:
    """Events come in order, the loss falls, and llama.cpp computes with the adapter what was trained."""
    file = examples.raw(tmp_path / "raw.jsonl", 20)
    wanted = msgspec.structs.replace(QUICK, n_epochs=2, batch_size=4)
    trainer = TrainingProcess(job(tmp_path, smollm2, file, wanted))
    events: list[TrainingEvent] = []
    done = trainer.run(events.append)
    assert isinstance(done, TrainingFinished)
    assert isinstance(events[0], TrainingPrepared)
    assert (events[0].examples, events[0].steps, events[0].step) == (20, 10, 0)
    losses = [event.train_loss for event in events if isinstance(event, StepMetrics)]
    assert len(losses) == 10
    assert losses[-1] < losses[0] / 4
    assert [event.step for event in events if isinstance(event, CheckpointSaved)] == [5, 10]
    folder = tmp_path / "work"
    assert (folder / done.results).read_text().count("\n") == 11
    ids = executor.tokenize("The secret word of the project is", special=False)
    answer = executor.tokenize(f" {examples.SECRET}.", special=False)
    executor.load_adapter("taught", folder / done.adapter)
    before, after = (computed(executor, ids + answer, adapter) for adapter in ("", "taught"))
    executor.unload_adapter("taught")
    rows = slice(len(ids) - 1, len(ids) + len(answer) - 1)
    assert after[rows].argmax(1).tolist() == answer
    assert before[rows].argmax(1).tolist() != answer
    trainer.discard()
    assert not folder.exists()


def test_a_killed_run_resumes_with_the_same_result(tmp_path: Path, smollm2: Path) -> None:
    """Killed twice in the middle, by signal 9 and by the end of its parent, it ends with the same bytes."""
    file = examples.raw(tmp_path / "raw.jsonl", 8)
    wanted = msgspec.structs.replace(QUICK, n_epochs=4, batch_size=4)
    whole = TrainingProcess(job(tmp_path / "whole", smollm2, file, wanted)).run(lambda _: None)
    cut = job(tmp_path / "cut", smollm2, file, wanted)
    cut.folder.mkdir(parents=True)
    command = [sys.executable, "-m", "homeport.training.worker", msgspec.json.encode(cut, enc_hook=str).decode()]
    for ends in ("signal", "parent"):
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            assert child.stdout
            assert child.stdin
            for line in child.stdout:
                if isinstance(msgspec.json.decode(line, type=TrainingEvent), CheckpointSaved):
                    next(iter(child.stdout))  # the state is saved before the next step
                    break
            if ends == "signal":
                child.send_signal(signal.SIGKILL)
            child.stdin.close()
            child.stdout.close()
    events: list[TrainingEvent] = []
    done = TrainingProcess(cut).run(events.append)
    assert isinstance(events[0], TrainingPrepared)
    assert events[0].step == 4
    assert done
    assert whole
    assert (cut.folder / done.adapter).read_bytes() == (tmp_path / "whole" / "work" / whole.adapter).read_bytes()
    assert (cut.folder / done.results).read_text().count("\n") == 9


def test_a_killed_child_is_followed_by_another(tmp_path: Path, smollm2: Path, new_children: NewChildren) -> None:
    """If only the training process is killed, training resumes by itself, unless it makes no progress."""
    trainer = TrainingProcess(job(tmp_path, smollm2, examples.raw(tmp_path / "raw.jsonl", 10)))
    events: list[TrainingEvent] = []

    def hear(event: TrainingEvent) -> None:
        events.append(event)
        if isinstance(event, CheckpointSaved) and len(events) < 5:
            (child,) = new_children()
            child.kill()

    assert trainer.run(hear)
    assert [event.step for event in events if isinstance(event, StepMetrics)][-1] == 2
    assert sum(isinstance(event, TrainingPrepared) for event in events) == 2

    def kill(event: TrainingEvent) -> None:
        if isinstance(event, TrainingPrepared):
            (child,) = new_children()
            child.kill()

    other = msgspec.structs.replace(job(tmp_path, smollm2, tmp_path / "raw.jsonl"), folder=tmp_path / "other")
    with pytest.raises(EngineFailed, match="signal 9"):
        TrainingProcess(other).run(kill)


def test_it_computes_only_on_idle_processors(tmp_path: Path, smollm2: Path, new_children: NewChildren) -> None:
    """All threads of the training process have a lower priority than any other."""
    trainer = TrainingProcess(job(tmp_path, smollm2, examples.raw(tmp_path / "raw.jsonl", 2)))
    seen: list[tuple[int, set[int]]] = []

    def hear(event: TrainingEvent) -> None:
        if isinstance(event, StepMetrics):
            (child,) = new_children()
            seen.append((child.nice(), {os.sched_getscheduler(thread.id) for thread in child.threads()}))

    assert trainer.run(hear)
    assert seen[0][0] >= 15
    if sys.platform == "linux":
        assert seen[0][1] == {os.SCHED_IDLE}


def test_a_stopped_run_keeps_every_step(tmp_path: Path, smollm2: Path) -> None:
    """Stopped, it ends after the current step, and resumes from there; two at once are refused."""
    trainer = TrainingProcess(job(tmp_path, smollm2, examples.raw(tmp_path / "raw.jsonl", 12)))
    refused: list[str] = []

    def hear(event: TrainingEvent) -> None:
        if isinstance(event, StepMetrics) and event.step == 1:
            with pytest.raises(Unavailable, match="another process") as busy:
                TrainingProcess(job(tmp_path, smollm2, tmp_path / "raw.jsonl")).run(lambda _: None)
            refused.append(busy.value.message)
            threading.Thread(target=trainer.stop).start()

    assert trainer.run(hear) is None
    assert refused
    events: list[TrainingEvent] = []
    assert TrainingProcess(job(tmp_path, smollm2, tmp_path / "raw.jsonl")).run(events.append)
    assert isinstance(events[0], TrainingPrepared)
    assert events[0].step >= 1


def test_preferences_are_ranked(tmp_path: Path, smollm2: Path) -> None:
    """With direct preference optimization the loss falls below chance, and the pairs are ranked correctly."""
    wanted = Hyperparameters("dpo", n_epochs=2, batch_size=5)
    events: list[TrainingEvent] = []
    assert TrainingProcess(job(tmp_path, smollm2, examples.preferences(tmp_path / "dpo.jsonl"), wanted)).run(
        events.append
    )
    last = [event for event in events if isinstance(event, StepMetrics)][-1]
    assert last.train_loss < 0.6
    assert last.train_token_accuracy == 1.0


def test_the_validation_file_is_used(tmp_path: Path, smollm2: Path) -> None:
    """Its loss is computed at the end of an epoch, on all of it, and falls."""
    file = examples.raw(tmp_path / "raw.jsonl", 8)
    asked = job(tmp_path, smollm2, file, msgspec.structs.replace(QUICK, n_epochs=2, batch_size=4))
    events: list[TrainingEvent] = []
    assert TrainingProcess(msgspec.structs.replace(asked, validation_file=file)).run(events.append)
    saved = [event.metrics for event in events if isinstance(event, CheckpointSaved)]
    losses = [measures.full_valid_loss for measures in saved if measures.full_valid_loss is not None]
    assert len(losses) == 2
    assert losses[1] < losses[0]
    assert saved[1].valid_token_accuracy is not None


@pytest.mark.parametrize("wrong", ["example", "memory", "model"])
def test_what_cannot_be_trained_says_why(tmp_path: Path, smollm2: Path, multilingual_e5: Path, wrong: str) -> None:
    """An invalid line, too little memory and a model of another kind end the run with the reason."""
    file = examples.raw(tmp_path / "raw.jsonl", 2)
    if wrong == "example":
        file.write_text("{}\n")
    asked = job(tmp_path, multilingual_e5 if wrong == "model" else smollm2, file)
    asked = msgspec.structs.replace(asked, memory_bytes=10_000_000 if wrong == "memory" else None)
    said = {"example": "Line 1", "memory": "memory", "model": "cannot be fine-tuned"}[wrong]
    with pytest.raises((InvalidRequest, Unavailable), match=said):
        TrainingProcess(asked).run(lambda _: None)


def test_an_unexpected_end_is_reported(tmp_path: Path, smollm2: Path) -> None:
    """A reader that does not exist is an internal error: the error has the last lines of output."""
    broken = msgspec.structs.replace(job(tmp_path, smollm2, examples.raw(tmp_path / "r", 1)), reader="nowhere:load")
    with pytest.raises(EngineFailed, match="nowhere"):
        TrainingProcess(broken).run(lambda _: None)
