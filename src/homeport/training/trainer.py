"""The training loop: examples in, an adapter out, checkpoints in between. Imported in the training process only."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import torch

from homeport.domain.training import (
    MAX_CHECKPOINTS,
    CheckpointSaved,
    Hyperparameters,
    StepMetrics,
    TrainingEvent,
    TrainingFinished,
    TrainingPrepared,
)
from homeport.training import (
    checkpoint,
    classification_metrics,
    lora_file,
    metrics_table,
)
from homeport.training.classification_eval import TrainingData
from homeport.training.decoder import Decoder
from homeport.training.losses import (
    LossSums,
    dpo_loss,
    likelihoods,
    next_token_loss,
)
from homeport.training.schedule import TrainingSchedule, shuffle_order
from homeport.training.tokenization import TokenizedExample, TokenizedPair

ADAPTER, RESULTS, CHECKPOINT = "adapter.gguf", "results.csv", "checkpoint-"
CHECKPOINT_INTERVAL_S = 15.0  # the maximum work that an interruption loses
VALIDATION_EXAMPLES = 8  # in each validation during an epoch
VALIDATION_INTERVAL = 10  # steps between these validations
_CLIP = 1.0


class Trainer:
    """One training run in `folder`. `identity`: all that decides its result; the state of another run is ignored."""

    def __init__(
        self,
        folder: Path,
        identity: str,
        decoder: Decoder,
        data: TrainingData,
        chosen: Hyperparameters,
        on_event: Callable[[TrainingEvent], None],
    ) -> None:
        """`on_event` receives the events."""
        self._folder = folder
        self._identity = identity
        self._decoder = decoder
        self._architecture = decoder.config.architecture
        self._data = data
        self._hyperparameters = chosen
        self._on_event = on_event
        self._schedule = TrainingSchedule.from_hyperparameters(chosen, len(data.training))
        self._optimizer = torch.optim.AdamW(
            list(decoder.factors), lr=self._schedule.learning_rate(0), weight_decay=0.01
        )
        self._progress = checkpoint.TrainingState()

    def run(self, is_wanted: Callable[[], bool]) -> bool:
        """Train to the end, resuming an earlier run; False if it was stopped, after saving its state."""
        self._resume()
        schedule, progress = self._schedule, self._progress
        self._on_event(
            TrainingPrepared(
                len(self._data.training), self._data.tokens, schedule.steps, progress.step, self._hyperparameters
            )
        )
        saved_at = time.monotonic()
        while progress.step < schedule.steps:
            if not is_wanted():
                self._save_checkpoint()
                return False
            metrics = self._step()
            self._on_event(metrics)
            if schedule.ends_epoch(progress.step - 1):
                self._save(metrics)
            if schedule.ends_epoch(progress.step - 1) or time.monotonic() - saved_at > CHECKPOINT_INTERVAL_S:
                self._save_checkpoint()
                saved_at = time.monotonic()
        (self._folder / RESULTS).write_text(metrics_table.write_table(progress.metrics), encoding="utf-8")
        lora_file.write(self._folder / ADAPTER, self._decoder.factors, self._architecture, "fine-tuned")
        self._on_event(TrainingFinished(ADAPTER, RESULTS, progress.tokens))
        return True

    def _save_checkpoint(self) -> None:
        adapter, optimizer = self._decoder.factors.state(), self._optimizer.state_dict()
        checkpoint.save_checkpoint(self._folder, self._identity, self._progress, adapter, optimizer)

    def _resume(self) -> None:
        state = checkpoint.load_checkpoint(self._folder, self._identity)
        if state is not None:
            self._progress, adapter, optimizer = state
            self._decoder.factors.restore(adapter)
            self._optimizer.load_state_dict(optimizer)

    def _step(self) -> StepMetrics:
        schedule, progress = self._schedule, self._progress
        chosen = [self._data.training[place] for place in schedule.example_indices(progress.step)]
        for group in self._optimizer.param_groups:
            group["lr"] = schedule.learning_rate(progress.step)
        self._optimizer.zero_grad()
        sums = self._compute_loss(chosen, learns=True)
        torch.nn.utils.clip_grad_norm_(list(self._decoder.factors), _CLIP)
        self._optimizer.step()
        progress.step += 1
        progress.tokens += sum(one.size for one in chosen)
        progress.examples += len(chosen)
        metrics = StepMetrics(
            progress.step,
            progress.tokens,
            progress.examples,
            sums.mean_loss,
            sums.token_accuracy,
            sums.sequence_accuracy,
        )
        progress.metrics.append(self._validate(metrics))
        return progress.metrics[-1]

    def _validate(self, metrics: StepMetrics) -> StepMetrics:
        """Add validation metrics: of some examples at intervals, of all at the end of an epoch."""
        examples, step = self._data.validation, metrics.step
        if not examples:
            return metrics
        is_last = self._schedule.ends_epoch(step - 1)
        if step % VALIDATION_INTERVAL == 0 or is_last:
            places = shuffle_order(len(examples), f"{self._hyperparameters.seed} look {step}")[:VALIDATION_EXAMPLES]
            some = self._compute_loss([examples[place] for place in places])
            metrics = msgspec.structs.replace(
                metrics,
                valid_loss=some.mean_loss,
                valid_token_accuracy=some.token_accuracy,
                valid_sequence_accuracy=some.sequence_accuracy,
            )
        if is_last:
            every = self._compute_loss(list(examples))
            metrics = msgspec.structs.replace(
                metrics,
                full_valid_loss=every.mean_loss,
                full_valid_token_accuracy=every.token_accuracy,
                classification=self._evaluate_classes(),
            )
        return metrics

    def _evaluate_classes(self) -> dict[str, float]:
        """Return the classification metrics, if requested."""
        evaluation = self._data.evaluation
        if evaluation is None:
            return {}
        each = [choice for choices in evaluation.choices for choice in choices]
        rows = likelihoods(self._decoder, each).reshape(len(evaluation.choices), -1).softmax(1)
        return dict(
            classification_metrics.compute_metrics(
                rows.tolist(), evaluation.truths, evaluation.options, evaluation.positive
            )
        )

    def _compute_loss(self, chosen: Sequence[TokenizedExample | TokenizedPair], *, learns: bool = False) -> LossSums:
        sums = LossSums()
        pairs = [one for one in chosen if isinstance(one, TokenizedPair)]
        if pairs:
            dpo_loss(self._decoder, pairs, self._hyperparameters.beta or 0.0, sums, learns=learns)
        else:
            next_token_loss(
                self._decoder, [one for one in chosen if isinstance(one, TokenizedExample)], sums, learns=learns
            )
        return sums

    def _save(self, metrics: StepMetrics) -> None:
        """Write the adapter at the end of an epoch to a file of its own; only the last few are kept."""
        file = self._folder / f"{CHECKPOINT}{metrics.step}.gguf"
        lora_file.write(file, self._decoder.factors, self._architecture, f"fine-tuned, step {metrics.step}")
        old = metrics.step - MAX_CHECKPOINTS * self._schedule.per_epoch
        (self._folder / f"{CHECKPOINT}{old}.gguf").unlink(missing_ok=True)
        self._on_event(CheckpointSaved(metrics.step, file.name, metrics))
