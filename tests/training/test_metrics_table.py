"""The result file."""

import csv

from homeport.domain.training import StepMetrics
from homeport.training.metrics_table import trained_tokens, write_table


def test_the_table_has_a_line_per_step() -> None:
    """Metrics are in their columns; missing ones are empty."""
    first = StepMetrics(1, 20, 1, 2.5, 0.5, 0.0)
    second = StepMetrics(2, 40, 2, 2.25, 0.5, 0.0, 2.0, 0.75, 0.5, 1.5, 0.875)
    rows = list(csv.DictReader(write_table([first, second]).splitlines()))
    assert [row["step"] for row in rows] == ["1", "2"]
    assert (rows[0]["train_loss"], rows[0]["valid_loss"]) == ("2.50000", "")
    assert (rows[1]["elapsed_tokens"], rows[1]["full_valid_mean_token_accuracy"]) == ("40", "0.87500")


def test_classes_have_columns_of_their_own() -> None:
    """Classification metrics follow the others, at the steps that have them; the table has its token count."""
    first = StepMetrics(1, 20, 1, 2.5, 0.5, 0.0)
    second = StepMetrics(2, 40, 2, 2.25, 0.5, 0.0, classification={"classification/accuracy": 0.75})
    said = write_table([first, second])
    rows = list(csv.DictReader(said.splitlines()))
    assert [row["classification/accuracy"] for row in rows] == ["", "0.75000"]
    assert (trained_tokens(said), trained_tokens(write_table([]))) == (40, 0)
