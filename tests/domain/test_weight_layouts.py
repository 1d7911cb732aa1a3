"""The rule that selects a layout."""

import pytest

from homeport.domain.weight_layouts import (
    Fidelity,
    Speed,
    Trial,
    best,
    lossier,
)

WAS = Speed(200, 100, 100)
EXACT = Fidelity(18.0, 18.0, 0.01, 0.93)


def trial(name: str, factor: float, fidelity: Fidelity | None = EXACT) -> Trial:
    return Trial(name, Speed(200 * factor, 100 * factor, 100 * factor), WAS, 1, fidelity)


def test_the_gain_is_that_of_the_work_done() -> None:
    """A layout twice as fast in everything gains 2; one faster in prefill alone gains only that share."""
    assert trial("a", 2).gain == pytest.approx(2)
    assert Trial("a", Speed(400, 100, 100), WAS, 1).gain == pytest.approx((2.56 + 1.28) / (1.28 + 1.28))


def test_the_fastest_faithful_layout_is_kept() -> None:
    """Of several faithful layouts the fastest is chosen, in whatever order they are."""
    found = best([trial("slow", 1.2), trial("fast", 1.8), trial("middle", 1.5)])
    assert found is not None
    assert found.layout == "fast"


@pytest.mark.parametrize(
    "candidate",
    [
        trial("too little gain", 1.09),
        trial("never scored", 2, None),
        trial("perplexity rose", 2, Fidelity(18.1, 18.0, 0.01, 0.93)),
        trial("diverges", 2, Fidelity(17.9, 18.0, 0.05, 0.8)),
    ],
    ids=lambda each: each.layout,
)
def test_the_original_stays_otherwise(candidate: Trial) -> None:
    """A layout that is not faster, or has a measurable quality loss, is never chosen automatically."""
    assert best([candidate]) is None


def test_a_lower_perplexity_is_no_loss() -> None:
    """Only a rise counts against a layout; the divergence judges the rest."""
    assert best([trial("better", 1.5, Fidelity(17.0, 18.0, 0.01, 0.93))]) is not None


def test_lossier_ones_are_named_only_where_they_are_faster() -> None:
    """The user is only offered layouts that are faster than the chosen one and known to lose quality."""
    lossy = Fidelity(21.0, 18.0, 0.5, 0.6)
    trials = [trial("kept", 1.5), trial("slower", 1.3, lossy), trial("faster", 2, lossy), trial("unknown", 3, None)]
    assert [each.layout for each in lossier(trials)] == ["faster"]
    assert [each.layout for each in lossier([trial("only", 1.05, lossy)])] == []
