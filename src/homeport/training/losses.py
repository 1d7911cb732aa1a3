"""The losses: next-token prediction of examples, and preference of one answer over another.

Imported in the training process only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from homeport.training.decoder import Decoder
from homeport.training.tokenization import TokenizedExample, TokenizedPair, group_by_length

_MAX_PASS_TOKENS = 512  # tokens computed at a time, padding included; one example may be longer
_LOGIT_ROWS = 256  # logits held at a time: 50 MB for a vocabulary of 50,000


@dataclass
class LossSums:
    """Sums over a step or a validation. `weight` and `answers` are the divisors of the rest."""

    loss: float = 0.0
    weight: float = 0.0
    right: int = 0
    tokens: int = 0  # those of weight 1
    whole: int = 0
    answers: int = 0

    @property
    def mean_loss(self) -> float:
        """The mean loss per token."""
        return self.loss / self.weight if self.weight else 0.0

    @property
    def token_accuracy(self) -> float:
        """The share of tokens that were the most likely."""
        return self.right / self.tokens if self.tokens else 0.0

    @property
    def sequence_accuracy(self) -> float:
        """The share of answers of which every token was the most likely."""
        return self.whole / self.answers if self.answers else 0.0


def next_token_loss(decoder: Decoder, examples: Sequence[TokenizedExample], sums: LossSums, *, learns: bool) -> None:
    """Add up the next-token loss of examples; `learns`: also the gradients of the mean loss per token."""
    total = sum(sum(example.weights[1:]) for example in examples)
    for places in group_by_length([len(example.ids) for example in examples], _MAX_PASS_TOKENS):
        part = [examples[place] for place in places]
        with torch.set_grad_enabled(learns):
            losses, weights, right = _token_losses(decoder, part)
            loss = (losses * weights).sum()
            if learns and total:
                (loss / total).backward()
        sums.loss += float(loss.detach())
        _count(sums, weights, right)
    sums.weight += total


def dpo_loss(decoder: Decoder, pairs: Sequence[TokenizedPair], beta: float, sums: LossSums, *, learns: bool) -> None:
    """Add up the loss of preferences; `learns` as above: direct preference optimization (Rafailov et al. 2023)."""
    for pair in pairs:
        both = [pair.chosen, pair.rejected]
        decoder.factors.are_off = True
        try:
            with torch.no_grad():
                before = _likelihoods(decoder, both)
        finally:
            decoder.factors.are_off = False
        with torch.set_grad_enabled(learns):
            gained = _likelihoods(decoder, both) - before
            margin = gained[0] - gained[1]
            loss = -functional.logsigmoid(beta * margin)
            if learns:
                (loss / len(pairs)).backward()
        sums.loss += float(loss.detach())
        is_right = int(float(margin.detach()) > 0)
        sums.right, sums.whole = sums.right + is_right, sums.whole + is_right
        sums.weight, sums.tokens, sums.answers = sums.weight + 1, sums.tokens + 1, sums.answers + 1


def likelihoods(decoder: Decoder, examples: Sequence[TokenizedExample]) -> Tensor:
    """Return the log-probability of each example's weighted tokens, without gradients; (examples,)."""
    log_probabilities = torch.zeros(len(examples))
    with torch.no_grad():
        for places in group_by_length([len(example.ids) for example in examples], _MAX_PASS_TOKENS):
            log_probabilities[places] = _likelihoods(decoder, [examples[place] for place in places]).cpu()
    return log_probabilities


def _likelihoods(decoder: Decoder, examples: Sequence[TokenizedExample]) -> Tensor:
    """Return the log-probability of each example's answer, (examples,)."""
    losses, weights, _ = _token_losses(decoder, examples)
    return -(losses * weights).sum(1)


def _token_losses(decoder: Decoder, examples: Sequence[TokenizedExample]) -> tuple[Tensor, Tensor, Tensor]:
    """Return each token's loss, weight, and whether it was the most likely, without the first; (examples, n)."""
    length = max(len(example.ids) for example in examples)
    device = next(iter(decoder.factors)).device
    ids = torch.tensor([[*one.ids, *[0] * (length - len(one.ids))] for one in examples], device=device)
    padded = [[*one.weights[1:], *[0.0] * (length - len(one.ids))] for one in examples]
    weights = torch.tensor(padded, device=device)
    hidden = decoder.hidden(ids[:, :-1])
    counts = weights > 0
    parts = list(zip(hidden[counts].split(_LOGIT_ROWS), ids[:, 1:][counts].split(_LOGIT_ROWS), strict=True))
    if len(parts) == 1:
        scored = [_score_targets(decoder, *parts[0])]
    else:  # logits are large: those of one part are held at a time, and computed again for the gradients
        scored = [checkpoint(_score_targets, decoder, rows, targets, use_reentrant=False) for rows, targets in parts]
    losses, right = torch.zeros_like(weights), torch.zeros_like(counts)
    losses = losses.masked_scatter(counts, torch.cat([loss for loss, _ in scored]))
    return losses, weights, right.masked_scatter(counts, torch.cat([hit for _, hit in scored]))


def _score_targets(decoder: Decoder, hidden: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    logits = decoder.logits(hidden)
    return functional.cross_entropy(logits, targets, reduction="none"), logits.argmax(1) == targets


def _count(sums: LossSums, weights: Tensor, right: Tensor) -> None:
    full = weights == 1.0
    hits = right & full
    sums.right += int(hits.sum())
    sums.tokens += int(full.sum())
    per = full.sum(1)
    sums.whole += int(((hits.sum(1) == per) & (per > 0)).sum())
    sums.answers += int((per > 0).sum())
