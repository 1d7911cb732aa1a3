"""The loop: lessons in, an adapter out, a state kept on the way. Imported in the process that trains only."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import torch

from homeport.domain.training import (
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
from homeport.training.schedule import MAX_CHECKPOINTS, TrainingSchedule, shuffle_order
from homeport.training.tokenization import TokenizedExample, TokenizedPair

ADAPTER, RESULTS, CHECKPOINT = "adapter.gguf", "results.csv", "checkpoint-"
CHECKPOINT_INTERVAL_S = 15.0  # of work, at most, is lost when it is cut off
VALIDATION_EXAMPLES = 8  # lessons not trained on that are looked at beside a step …
VALIDATION_INTERVAL = 10  # … of so many
_CLIP = 1.0


class Trainer:
    """One training in `folder`. `identity`: all that decides its outcome; a state of another is not gone on from."""

    def __init__(
        self,
        folder: Path,
        identity: str,
        decoder: Decoder,
        lessons: TrainingData,
        chosen: Hyperparameters,
        tell: Callable[[TrainingEvent], None],
    ) -> None:
        """`tell` hears how it goes."""
        self._folder = folder
        self._identity = identity
        self._decoder = decoder
        self._architecture = decoder.shape.architecture
        self._lessons = lessons
        self._chosen = chosen
        self._tell = tell
        self._course = TrainingSchedule.from_hyperparameters(chosen, len(lessons.training))
        self._optimiser = torch.optim.AdamW(list(decoder.factors), lr=self._course.learning_rate(0), weight_decay=0.01)
        self._progress = checkpoint.TrainingState()

    def run(self, is_wanted: Callable[[], bool]) -> bool:
        """Train to the end, from where an earlier run was cut off; False: it was not wanted any more, and is kept."""
        self._resume()
        course, progress = self._course, self._progress
        self._tell(
            TrainingPrepared(
                len(self._lessons.training), self._lessons.tokens, course.steps, progress.step, self._chosen
            )
        )
        kept_at = time.monotonic()
        while progress.step < course.steps:
            if not is_wanted():
                self._save_checkpoint()
                return False
            measures = self._step()
            self._tell(measures)
            if course.ends_epoch(progress.step - 1):
                self._save(measures)
            if course.ends_epoch(progress.step - 1) or time.monotonic() - kept_at > CHECKPOINT_INTERVAL_S:
                self._save_checkpoint()
                kept_at = time.monotonic()
        (self._folder / RESULTS).write_text(metrics_table.write_table(progress.measures), encoding="utf-8")
        lora_file.write(self._folder / ADAPTER, self._decoder.factors, self._architecture, "fine-tuned")
        self._tell(TrainingFinished(ADAPTER, RESULTS, progress.tokens))
        return True

    def _save_checkpoint(self) -> None:
        learnt, optimiser = self._decoder.factors.state(), self._optimiser.state_dict()
        checkpoint.save_checkpoint(self._folder, self._identity, self._progress, learnt, optimiser)

    def _resume(self) -> None:
        found = checkpoint.load_checkpoint(self._folder, self._identity)
        if found is not None:
            self._progress, learnt, optimiser = found
            self._decoder.factors.restore(learnt)
            self._optimiser.load_state_dict(optimiser)

    def _step(self) -> StepMetrics:
        course, progress = self._course, self._progress
        chosen = [self._lessons.training[place] for place in course.example_indices(progress.step)]
        for group in self._optimiser.param_groups:
            group["lr"] = course.learning_rate(progress.step)
        self._optimiser.zero_grad()
        sums = self._compute_loss(chosen, learns=True)
        torch.nn.utils.clip_grad_norm_(list(self._decoder.factors), _CLIP)
        self._optimiser.step()
        progress.step += 1
        progress.tokens += sum(one.size for one in chosen)
        progress.examples += len(chosen)
        measures = StepMetrics(
            progress.step,
            progress.tokens,
            progress.examples,
            sums.mean_loss,
            sums.token_accuracy,
            sums.sequence_accuracy,
        )
        progress.measures.append(self._validate(measures))
        return progress.measures[-1]

    def _validate(self, measures: StepMetrics) -> StepMetrics:
        """The same with what was not trained on: some of it now and then, all of it at the end of an epoch."""
        others, step = self._lessons.validation, measures.step
        if not others:
            return measures
        is_last = self._course.ends_epoch(step - 1)
        if step % VALIDATION_INTERVAL == 0 or is_last:
            places = shuffle_order(len(others), f"{self._chosen.seed} look {step}")[:VALIDATION_EXAMPLES]
            some = self._compute_loss([others[place] for place in places])
            measures = msgspec.structs.replace(
                measures,
                valid_loss=some.mean_loss,
                valid_token_accuracy=some.token_accuracy,
                valid_sequence_accuracy=some.sequence_accuracy,
            )
        if is_last:
            every = self._compute_loss(list(others))
            measures = msgspec.structs.replace(
                measures,
                full_valid_loss=every.mean_loss,
                full_valid_token_accuracy=every.token_accuracy,
                classification=self._evaluate_classes(),
            )
        return measures

    def _evaluate_classes(self) -> dict[str, float]:
        """How well the classes are told apart now, where that is asked for."""
        quiz = self._lessons.quiz
        if quiz is None:
            return {}
        each = [choice for choices in quiz.choices for choice in choices]
        rows = likelihoods(self._decoder, each).reshape(len(quiz.choices), -1).softmax(1)
        return dict(classification_metrics.compute_metrics(rows.tolist(), quiz.truths, quiz.options, quiz.positive))

    def _compute_loss(self, chosen: Sequence[TokenizedExample | TokenizedPair], *, learns: bool = False) -> LossSums:
        sums = LossSums()
        pairs = [one for one in chosen if isinstance(one, TokenizedPair)]
        if pairs:
            dpo_loss(self._decoder, pairs, self._chosen.beta or 0.0, sums, learns=learns)
        else:
            next_token_loss(
                self._decoder, [one for one in chosen if isinstance(one, TokenizedExample)], sums, learns=learns
            )
        return sums

    def _save(self, measures: StepMetrics) -> None:
        """The adapter as it is at the end of an epoch, in a file of its own; the last few stay."""
        file = self._folder / f"{CHECKPOINT}{measures.step}.gguf"
        lora_file.write(file, self._decoder.factors, self._architecture, f"fine-tuned, step {measures.step}")
        old = measures.step - MAX_CHECKPOINTS * self._course.per_epoch
        (self._folder / f"{CHECKPOINT}{old}.gguf").unlink(missing_ok=True)
        self._tell(CheckpointSaved(measures.step, file.name, measures))
