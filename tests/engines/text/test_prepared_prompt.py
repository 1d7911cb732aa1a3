"""The state that a request's answers share, and the limit on its size."""

from typing import Any

import numpy as np
import pytest

from homeport.domain.errors import InvalidRequest
from homeport.domain.text import (
    SamplingParams,
    StoppingCriteria,
    TextPrompt,
    TextRequest,
)
from homeport.engines.text import prepared_prompt
from homeport.engines.text.prepared_prompt import PreparedPrompt, SharedStateBuilder, check_bans, check_size
from homeport.engines.text.sampling import LogitBias

ENDS = frozenset({2})


def request(**changes: Any) -> TextRequest:
    return TextRequest((TextPrompt("a"),), **changes)


def prompt(
    *ids: int, ends: frozenset[int] = ENDS, stop: tuple[str, ...] = (), copied: tuple[int, ...] = ()
) -> PreparedPrompt:
    return PreparedPrompt(ids, 1, "a", ends, stop, copied)


def test_prompts_with_the_same_ends_share_one_table() -> None:
    """Stop strings and end tokens of many prompts are built once; only an edit's own stop string needs new ones."""
    builder = SharedStateBuilder(request(stopping=StoppingCriteria(stop=("x", "y"), stop_token_ids=(7,))))
    first, second, edit = builder.of(prompt(1, 2)), builder.of(prompt(3)), builder.of(prompt(3, stop=("```",)))
    assert first.stops is second.stops is not edit.stops
    assert first.end_ids is second.end_ids is edit.end_ids
    assert first.end_ids.tolist() == [2, 7]
    endless = SharedStateBuilder(request(stopping=StoppingCriteria(ignore_eos=True)))
    assert endless.of(prompt(1)).ends == frozenset()


def test_the_source_of_drafts() -> None:
    """The source of drafts is the prompt, or what an edit is likely to repeat; there is none without drafts."""
    builder = SharedStateBuilder(request(), speculates=True)
    copied, own = builder.of(prompt(1, 2, copied=(5, 6))).source, builder.of(prompt(1, 2)).source
    assert copied is not None
    assert own is not None
    assert (copied.tokens, copied.is_likely) == ((5, 6), True)
    assert (own.tokens, own.is_likely) == ((1, 2), False)
    assert SharedStateBuilder(request()).of(prompt(1, 2)).source is None


def test_media_are_not_penalized() -> None:
    """The negative ids of pictures, which no answer has, are not among the tokens of the repetition penalty."""
    builder = SharedStateBuilder(request(sampling=SamplingParams(repetition_penalty=1.5)))
    assert builder.of(prompt(5, -7, -9, 3)).prompt_ids.tolist() == [3, 5]


def test_prompt_tokens_are_listed_for_the_repetition_penalty_only() -> None:
    """Each token once, ascending, and only with a repetition penalty."""
    assert not len(SharedStateBuilder(request()).of(prompt(3, 1, 3)).prompt_ids)
    penalized = SharedStateBuilder(request(sampling=SamplingParams(repetition_penalty=1.5)))
    assert penalized.of(prompt(3, 1, 3)).prompt_ids.tolist() == [1, 3]


@pytest.mark.parametrize(("min_tokens", "banned", "is_refused"), [(0, 8, True), (1, 7, True), (0, 7, False)])
def test_a_request_that_bans_all_tokens_is_refused(min_tokens: int, banned: int, is_refused: bool) -> None:
    """If no token can be sampled, by the bias alone or with the ends that `min_tokens` bans, the bias is refused."""
    banning = request(stopping=StoppingCriteria(min_tokens=min_tokens, stop_token_ids=(7,)))
    bias = LogitBias.of(dict.fromkeys(range(banned), -100.0))
    states = [SharedStateBuilder(banning).of(prompt(1, ends=frozenset()))]
    if not is_refused:
        check_bans(banning, bias, states, 8)
        return
    with pytest.raises(InvalidRequest) as caught:
        check_bans(banning, bias, states, 8)
    assert caught.value.param == "logit_bias"


@pytest.mark.parametrize(
    ("changes", "tokens", "chars", "param"),
    [
        ({"n": 2}, [prepared_prompt.MAX_TOKENS // 2 + 1], [1], "n"),
        ({"n": 2, "best_of": 4}, [prepared_prompt.MAX_TOKENS // 8] * 3, [1], "best_of"),
        ({"n": 2, "echo": True, "logprobs": 0}, [prepared_prompt.MAX_ECHOED_TOKENS // 2 + 1], [1], "n"),
        ({"n": 2, "echo": True}, [1], [prepared_prompt.MAX_ECHOED_CHARS // 2 + 1], "n"),
    ],
)
def test_size_times_answers_is_bounded(
    changes: dict[str, Any], tokens: list[int], chars: list[int], param: str
) -> None:
    """Many answers to long prompts are refused; one answer to them, and many to short ones, are not."""
    with pytest.raises(InvalidRequest) as caught:
        check_size(request(**changes), tokens, chars)
    assert caught.value.param == param
    check_size(request(**{**changes, "n": 1, "best_of": 1}), tokens, chars)
    check_size(request(**changes), [10] * 2048, [10])


def test_a_bias_is_split_once() -> None:
    """Banned tokens, forced tokens and other values are in arrays of their own."""
    bias = LogitBias.of({1: -100.0, 2: 100.0, 3: 5.0})
    assert (bias.banned.tolist(), bias.forced.tolist(), bias.ids.tolist(), bias.values.tolist()) == ([1], [2], [3], [5])
    assert bias.ids.dtype == np.int32
