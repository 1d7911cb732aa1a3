"""Prompt lookup: copies are found, followed, lost and resumed, and few drafts are computed in vain."""

import random

from homeport.engines.text.prompt_lookup import (
    MAX_DRAFT,
    LookupSource,
    PromptLookup,
    assumed_min_acceptance,
)

TEXT = [(17 * index + index * index // 3) % 5_000 for index in range(400)]


def _steps(lookup: PromptLookup, answer: list[int], *, rows: int = 1) -> tuple[int, int, int]:
    """Return steps, draft tokens and accepted tokens of an answer, if each step has `rows` tokens."""
    steps = drafted = accepted = place = 0
    while place < len(answer):
        draft = lookup.draft(512, assumed_min_acceptance(rows))
        n_accepted = next(
            (n for n, token in enumerate(draft) if answer[place + n : place + n + 1] != [token]), len(draft)
        )
        for token in answer[place : place + n_accepted + 1]:
            lookup.feed(token)
        steps, drafted, accepted, place = steps + 1, drafted + len(draft), accepted + n_accepted, place + n_accepted + 1
    return steps, drafted, accepted


def test_a_faithful_copy_takes_few_steps() -> None:
    """A text that is repeated exactly is drafted from its first token on, in growing drafts."""
    steps, drafted, accepted = _steps(PromptLookup(LookupSource(TEXT, is_likely=True), len(TEXT)), TEXT)
    assert drafted == accepted
    assert steps <= 20


def test_a_copy_resumes_after_a_change() -> None:
    """Changed, deleted and inserted tokens cost a few steps each, and the copy continues."""
    changed = [*TEXT[:50], 9_001, *TEXT[51:120], *TEXT[125:200], 9_002, 9_003, 9_004, *TEXT[200:]]
    steps, drafted, accepted = _steps(PromptLookup(LookupSource(TEXT, is_likely=True), len(changed)), changed)
    assert steps <= 40
    assert accepted >= 0.85 * drafted


def test_a_prompt_is_copied_once_the_answer_repeats_it() -> None:
    """Nothing is drafted before some consecutive tokens of the answer repeat the prompt."""
    lookup = PromptLookup(LookupSource(TEXT, is_likely=False), 400)
    for token in TEXT[100:103]:
        assert lookup.draft(512, assumed_min_acceptance(1)) == ()
        lookup.feed(token)
    steps, drafted, accepted = _steps(lookup, TEXT[103:300])
    assert drafted - accepted <= MAX_DRAFT  # only the last draft exceeds the answer's end
    assert steps < 40


def test_an_answer_that_repeats_itself_is_drafted() -> None:
    """The answer so far is a source like the prompt."""
    steps, _, _ = _steps(PromptLookup(LookupSource([1, 2, 3], is_likely=False), 600), TEXT[:60] * 5)
    assert steps < 60 + 5 * 20


def test_text_without_repetition_has_few_drafts() -> None:
    """In random text over few words, where short matches are chance, hardly a token is drafted in vain."""
    for seed in range(20):
        words = random.Random(seed)
        prompt, answer = ([words.randrange(12) for _ in range(300)] for _ in range(2))
        steps, drafted, accepted = _steps(PromptLookup(LookupSource(prompt, is_likely=False), 300), answer)
        assert drafted - accepted <= 0.05 * steps


def test_fuller_steps_have_shorter_drafts() -> None:
    """With many other tokens in a step, a draft token costs nearly as much as a step's, so drafts get shorter."""
    lookup = PromptLookup(LookupSource(TEXT, is_likely=True), 400)
    sizes = [len(lookup.draft(512, assumed_min_acceptance(rows))) for rows in (1, 4, 16, 64)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 0
    assert sizes[-1] == 0
    for token in TEXT[:100]:
        lookup.feed(token)
    assert len(lookup.draft(512, assumed_min_acceptance(16))) > 0


def test_drafts_are_limited_by_room_budget_and_source() -> None:
    """Drafts are limited by the room, by the rest of the budget less one token, and by the source."""
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
    """A source with fewer tokens than a match needs predicts nothing."""
    for tokens in ([], [1], [1, 2]):
        lookup = PromptLookup(LookupSource(tokens, is_likely=False), 10)
        assert lookup.draft(512, assumed_min_acceptance(1)) == ()
        for token in (1, 2, 3):
            lookup.feed(token)
        assert lookup.draft(512, assumed_min_acceptance(1)) == ()


def test_free_drafts_have_the_maximum_length() -> None:
    """If drafts were measured to cost nothing, they have the maximum length."""
    lookup = PromptLookup(LookupSource(TEXT, is_likely=True), len(TEXT))
    for token in TEXT[:30]:
        lookup.feed(token)
    assert len(lookup.draft(512, 0.0)) == MAX_DRAFT


def test_media_are_never_drafted() -> None:
    """The negative ids of pictures are no part of the text that an answer may copy."""
    source = LookupSource([1, 2, 3, -4, -5, -6, 7, 8, 9], is_likely=False)
    lookup = PromptLookup(source, 100)
    for token in (1, 2, 3):
        lookup.feed(token)
    assert lookup.draft(10, 0.0)[:3] == (7, 8, 9)
