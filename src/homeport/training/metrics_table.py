"""The table of a training run's metrics, in the format of OpenAI's result files."""

import csv
import io
from collections.abc import Sequence

from homeport.domain.training import StepMetrics

COLUMNS = (
    "step",
    "elapsed_tokens",
    "elapsed_examples",
    "train_loss",
    "train_accuracy",
    "train_sequence_accuracy",
    "valid_loss",
    "valid_mean_token_accuracy",
    "valid_sequence_accuracy",
    "full_valid_loss",
    "full_valid_mean_token_accuracy",
)

ROLE = "results"
"""The role among a fine-tuned model's files."""


def write_table(metrics: Sequence[StepMetrics]) -> str:
    """Return a CSV table with a header line; metrics that a step does not have are empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    classes = list(dict.fromkeys(name for one in metrics for name in one.classification))
    writer.writerow((*COLUMNS, *classes))
    for one in metrics:
        values = (
            one.train_loss,
            one.train_token_accuracy,
            one.train_sequence_accuracy,
            one.valid_loss,
            one.valid_token_accuracy,
            one.valid_sequence_accuracy,
            one.full_valid_loss,
            one.full_valid_token_accuracy,
            *(one.classification.get(name) for name in classes),
        )
        rounded = ("" if value is None else f"{value:.5f}" for value in values)
        writer.writerow((one.step, one.tokens, one.examples, *rounded))
    return text.getvalue()


def trained_tokens(table: str) -> int:
    """Return the number of trained tokens, according to a table."""
    rows = list(csv.DictReader(table.splitlines()))
    return int(rows[-1]["elapsed_tokens"]) if rows else 0
