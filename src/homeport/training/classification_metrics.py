"""Classification metrics, as the legacy fine-tuning API defined them. Pure: from probabilities to numbers.

Knows nothing of tokens, nor of where probabilities come from.
"""

from collections.abc import Iterator, Mapping, Sequence

from homeport.domain.training import Classification

METRIC_PREFIX = "classification/"


def compute_metrics(
    probabilities: Sequence[Sequence[float]], truths: Sequence[int], options: Classification, positive: int | None
) -> Mapping[str, float]:
    """Compute all metrics of some questions: for each, the probabilities of all classes and the index of the true one.

    With a `positive` class: precision, recall, F-scores and the areas under both curves; without: the F1 of every
    class, weighted by its frequency. Undefined values, such as the recall of a class without examples, are omitted.
    """
    predicted = [max(range(len(row)), key=row.__getitem__) for row in probabilities]
    metrics = {"accuracy": sum(map(int.__eq__, predicted, truths)) / len(truths)}
    if positive is None:
        metrics["weighted_f1_score"] = _weighted_f1(predicted, truths)
    else:
        scores = [row[positive] for row in probabilities]
        metrics |= _binary(
            [one == positive for one in predicted], [one == positive for one in truths], scores, options.betas
        )
    return {f"{METRIC_PREFIX}{name}": value for name, value in metrics.items()}


def _weighted_f1(predicted: Sequence[int], truths: Sequence[int]) -> float:
    total = 0.0
    for one in set(truths):
        both = sum(a == b == one for a, b in zip(predicted, truths, strict=True))
        # F1 of a class is twice the true positives, over predicted plus actual positives.
        total += truths.count(one) * 2 * both / (predicted.count(one) + truths.count(one))
    return total / len(truths)


def _binary(
    predicted: Sequence[bool], truths: Sequence[bool], scores: Sequence[float], betas: Sequence[float]
) -> dict[str, float]:
    both = sum(a and b for a, b in zip(predicted, truths, strict=True))
    metrics: dict[str, float] = {}
    if any(predicted):
        metrics["precision"] = both / sum(predicted)
    if any(truths):
        metrics["recall"] = both / sum(truths)
        for beta in betas or (1.0,):
            # (1 + b²) P R / (b² P + R), written so that it is 0 and not undefined without true positives.
            square = beta * beta
            metrics[f"f{beta:g}"] = (1 + square) * both / (square * sum(truths) + sum(predicted))
        metrics["auprc"] = _average_precision(truths, scores)
        if not all(truths):
            metrics["auroc"] = _roc_auc(truths, scores)
    return metrics


def _roc_auc(truths: Sequence[bool], scores: Sequence[float]) -> float:
    """Return the probability that a positive one scores above a negative one; a tie counts half."""
    above = below = 0
    wins = 0.0
    for positives, negatives in _sorted_counts(truths, scores):
        wins += negatives * (above + positives / 2)
        above += positives
        below += negatives
    return wins / (above * below)


def _average_precision(truths: Sequence[bool], scores: Sequence[float]) -> float:
    """Return the mean precision at every positive one, by descending score."""
    hits = seen = 0
    area = 0.0
    for positives, negatives in _sorted_counts(truths, scores):
        hits += positives
        seen += positives + negatives
        area += positives * hits / seen
    return area / hits


def _sorted_counts(truths: Sequence[bool], scores: Sequence[float]) -> Iterator[tuple[int, int]]:
    """Return how many positive and negative ones have each score, by descending score."""
    counts: dict[float, list[int]] = {}
    for truth, score in zip(truths, scores, strict=True):
        counts.setdefault(score, [0, 0])[0 if truth else 1] += 1
    for score in sorted(counts, reverse=True):
        yield counts[score][0], counts[score][1]
