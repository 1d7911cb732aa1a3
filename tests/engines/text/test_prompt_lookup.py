"""What an answer is guessed to copy: found, followed, lost and taken up again, and never worth much in vain."""

import random

from homeport.engines.text.prompt_lookup import (
    MAX_DRAFT,
    LookupSource,
    PromptLookup,
    assumed_min_acceptance,
)

TEXT = [(17 * index + index * index // 3) % 5_000 for index in range(400)]


def _steps(lookup: PromptLookup, answer: list[int], *, rows: int = 1) -> tuple[int, int, int]:
    """Steps taken for an answer, tokens guessed and guesses that came true, where `rows` tokens share each step."""
    steps = guessed = accepted = place = 0
    while place < len(answer):
        guess = lookup.draft(512, assumed_min_acceptance(rows))
        kept = next((n for n, token in enumerate(guess) if answer[place + n : place + n + 1] != [token]), len(guess))
        for token in answer[place : place + kept + 1]:
            lookup.feed(token)
        steps, guessed, accepted, place = steps + 1, guessed + len(guess), accepted + kept, place + kept + 1
    return steps, guessed, accepted


def test_a_faithful_copy_takes_few_steps() -> None:
    """A text that is repeated word for word is guessed from its first token on, in ever longer runs."""
    steps, guessed, accepted = _steps(PromptLookup(LookupSource(TEXT, is_likely=True), len(TEXT)), TEXT)
    assert guessed == accepted
    assert steps <= 20


def test_a_copy_is_taken_up_again_behind_a_change() -> None:
    """Tokens changed, left out and put in cost a few steps each, and the copy goes on."""
    changed = [*TEXT[:50], 9_001, *TEXT[51:120], *TEXT[125:200], 9_002, 9_003, 9_004, *TEXT[200:]]
    steps, guessed, accepted = _steps(PromptLookup(LookupSource(TEXT, is_likely=True), len(changed)), changed)
    assert steps <= 40
    assert accepted >= 0.85 * guessed


def test_a_prompt_is_copied_once_the_answer_repeats_it() -> None:
    """Nothing is guessed before the answer has shown, by a few tokens in a row, that it repeats the prompt."""
    lookup = PromptLookup(LookupSource(TEXT, is_likely=False), 400)
    for token in TEXT[100:103]:
        assert lookup.draft(512, assumed_min_acceptance(1)) == ()
        lookup.feed(token)
    steps, guessed, accepted = _steps(lookup, TEXT[103:300])
    assert guessed - accepted <= MAX_DRAFT  # only the last guess goes beyond the answer's end
    assert steps < 40


def test_an_answer_that_repeats_itself_is_guessed() -> None:
    """What was drawn before is a source as good as the prompt."""
    steps, _, _ = _steps(PromptLookup(LookupSource([1, 2, 3], is_likely=False), 600), TEXT[:60] * 5)
    assert steps < 60 + 5 * 20


def test_text_without_repetition_costs_next_to_nothing() -> None:
    """Random prose over few words, where short matches are chance: hardly a token is computed in vain."""
    for seed in range(20):
        words = random.Random(seed)
        prompt, answer = ([words.randrange(12) for _ in range(300)] for _ in range(2))
        steps, guessed, accepted = _steps(PromptLookup(LookupSource(prompt, is_likely=False), 300), answer)
        assert guessed - accepted <= 0.05 * steps


def test_the_fuller_a_step_the_surer_a_guess_must_be() -> None:
    """Beside many other tokens a computed guess costs nearly what a drawn token does: guesses get fewer and surer."""
    lookup = PromptLookup(LookupSource(TEXT, is_likely=True), 400)
    sizes = [len(lookup.draft(512, assumed_min_acceptance(rows))) for rows in (1, 4, 16, 64)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 0
    assert sizes[-1] == 0
    for token in TEXT[:100]:
        lookup.feed(token)
    assert len(lookup.draft(512, assumed_min_acceptance(16))) > 0


def test_guesses_keep_to_the_room_the_budget_and_the_source() -> None:
    """Never longer than asked for, than the answer may become less the token drawn behind it, or than there is."""
    lookup = PromptLookup(LookupSource(TEXT, is_likely=True), 150)
    for token in TEXT[:100]:
        lookup.feed(token)
    assert len(lookup.draft(512, assumed_min_acceptance(1))) == MAX_DRAFT
    assert len(lookup.draft(3, assumed_min_acceptance(1))) == 3
    assert lookup.draft(0, assumed_min_acceptance(1)) == ()
    for token in TEXT[100:145]:
        lookup.feed(token)
    assert len(lookup.draft(512, assumed_min_acceptance(1))) == 4
    for token in TEXT[145:149]:
        lookup.feed(token)
    assert lookup.draft(512, assumed_min_acceptance(1)) == ()


def test_sources_may_be_empty_or_short() -> None:
    """A source of no tokens, or of fewer than a match needs, foretells nothing."""
    for tokens in ([], [1], [1, 2]):
        lookup = PromptLookup(LookupSource(tokens, is_likely=False), 10)
        assert lookup.draft(512, assumed_min_acceptance(1)) == ()
        for token in (1, 2, 3):
            lookup.feed(token)
        assert lookup.draft(512, assumed_min_acceptance(1)) == ()


def test_what_costs_nothing_is_guessed_in_full() -> None:
    """Where a busy machine's clock says that guesses cost nothing, as many as may be are made."""
    lookup = PromptLookup(LookupSource(TEXT, is_likely=True), len(TEXT))
    for token in TEXT[:30]:
        lookup.feed(token)
    assert len(lookup.draft(512, 0.0)) == MAX_DRAFT
