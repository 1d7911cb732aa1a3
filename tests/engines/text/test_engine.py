"""The text engine on the fake executor: real threads, exact answers."""

import json

import msgspec
import numpy as np
import pytest

from homeport.domain.errors import Unavailable
from homeport.domain.events import (
    Admitted,
    ChoiceFinished,
    Done,
    TextDelta,
)
from homeport.domain.text import (
    SamplingParams,
    StoppingCriteria,
    TextPrompt,
    TextRequest,
)
from homeport.domain.worker_messages import EngineSpec
from homeport.engines.text.engine import load
from tests.engines.text.engine_runner import TextEngineRunner, TextEvents, fake_engine
from tests.engines.text.fake_executor import START, FakeExecutor
from tests.engines.text.simulation import traits

GREEDY = SamplingParams(temperature=0.0)
SHORT = StoppingCriteria(max_tokens=12)
STORY = "It was a dark and stormy night; the rain fell in torrents, except at occasional intervals. "


def _ask(
    *prompts: str,
    sampling: SamplingParams = GREEDY,
    ending: StoppingCriteria = SHORT,
    n: int = 1,
    best_of: int | None = None,
    logprobs: int | None = None,
    echo: bool = False,
) -> TextRequest:
    texts = tuple(TextPrompt(prompt) for prompt in prompts)
    return TextRequest(texts, sampling, ending, n, n if best_of is None else best_of, logprobs, echo)


def _ending(max_tokens: int = 12) -> StoppingCriteria:
    """Return criteria for an answer of exactly `max_tokens` tokens: end tokens do not end it."""
    return StoppingCriteria(max_tokens=max_tokens, ignore_eos=True)


def _scripted(**script: str) -> str:
    return json.dumps(script)


def _greedy(prompt: str, n: int) -> list[int]:
    """Return the fake executor's greedy tokens after a prompt, computed directly, end tokens included."""
    executor = FakeExecutor(traits())
    tokens = [START, *prompt.encode()]
    for _ in range(n):
        tokens.append(int(executor.next_logits(tokens).argmax()))
    return tokens[1 + len(prompt.encode()) :]


def test_events_come_in_order_one_call_per_step() -> None:
    """Admitted, one delta per step, ChoiceFinished, Done; text and usage agree."""
    with TextEngineRunner(script=_scripted(hello=" world!")) as running:
        id = running.open(_ask("hello"))
        result = running.end(id)
        kinds = [type(event) for event in running.events(id)]
    assert kinds == [Admitted, *[TextDelta] * 7, ChoiceFinished, Done]
    assert result.text == " world!"
    assert result.reasons == {0: "stop"}
    assert result.usage is not None
    assert (result.usage.prompt_tokens, result.usage.completion_tokens, result.usage.cached_tokens) == (6, 7, 0)
    assert result.admitted == Admitted(6, (5,))
    assert len(running.calls) == 1 + 8


def test_length_ends_an_answer_at_its_budget() -> None:
    """Exactly max_tokens tokens are generated, each as the executor computes it."""
    with TextEngineRunner() as running:
        result = running.ask(_ask("abc", ending=_ending(9)))
    expected = b"".join(bytes([token]) for token in _greedy("abc", 9) if token < 256)
    assert result.text == expected.decode(errors="replace")
    assert result.reasons == {0: "length"}
    assert result.usage is not None
    assert result.usage.completion_tokens == 9


def test_stop_strings_are_found_across_tokens_and_never_emitted() -> None:
    """A stop string spread over five tokens ends the answer before it, and is reported with the reason."""
    with TextEngineRunner(script=_scripted(go=" one two three")) as running:
        result = running.ask(_ask("go", ending=StoppingCriteria(stop=("x", " two "))))
        by_itself = running.ask(_ask("go", ending=StoppingCriteria(stop=("x",))))
    assert result.text == " one"
    assert (result.reasons, result.stops) == ({0: "stop"}, {0: " two "})
    assert (by_itself.reasons, by_itself.stops) == ({0: "stop"}, {0: ""})


def test_end_tokens_stop_token_ids_and_min_tokens() -> None:
    """End tokens end an answer unless ignored, so do the caller's ids, and none of them before min_tokens."""
    with TextEngineRunner(script=_scripted(go="abcdef")) as running:
        assert running.ask(_ask("go")).text == "abcdef"
        assert running.ask(_ask("go", ending=StoppingCriteria(stop_token_ids=(ord("d"),)))).text == "abc"
        ignored = running.ask(_ask("go", ending=_ending(10)))
        assert ignored.reasons == {0: "length"}
        assert ignored.text.startswith("abcdef")
        longer = running.ask(_ask("go", ending=StoppingCriteria(max_tokens=20, min_tokens=9)))
        assert longer.usage is not None
        assert longer.usage.completion_tokens >= 9


def test_choices_differ_and_the_same_seed_repeats_them() -> None:
    """Four answers of one seed differ, and repeat exactly among other requests; another seed gives others."""
    sampling = SamplingParams(temperature=1.0, seed=7)
    with TextEngineRunner() as running:
        first = running.ask(_ask("abc", sampling=sampling, n=4))
        others = [running.open(_ask(STORY, sampling=SamplingParams(seed=index), n=2)) for index in range(4)]
        again = running.ask(_ask("abc", sampling=sampling, n=4))
        other = running.ask(_ask("abc", sampling=SamplingParams(temperature=1.0, seed=8), n=4))
        for id in others:
            running.end(id)
    assert len(set(first.texts.values())) == 4
    assert first.texts == again.texts
    assert first.reasons == again.reasons
    assert first.texts != other.texts


def test_requests_without_a_seed_differ() -> None:
    """Each request has a new seed: two equal requests at temperature 1 get different answers."""
    with TextEngineRunner() as running:
        one, two = (running.ask(_ask("abc", sampling=SamplingParams(), ending=_ending(30))) for _ in range(2))
    assert one.text != two.text


def test_prompts_and_choices_are_numbered_prompt_major() -> None:
    """Two prompts with two answers each give choices 0 to 3, the first two for the first prompt."""
    with TextEngineRunner(script=_scripted(uno=" eins", dos=" zwei")) as running:
        result = running.ask(_ask("uno", "dos", n=2))
    assert dict(result.texts) == {0: " eins", 1: " eins", 2: " zwei", 3: " zwei"}
    assert result.usage is not None
    assert result.usage.prompt_tokens == 8
    assert result.usage.completion_tokens == 20


def _mean(result: TextEvents, choice: int) -> float:
    return float(np.mean([one.logprob for one in result.scored[choice] if one.logprob is not None]))


def test_best_of_returns_the_best_candidates() -> None:
    """Of five candidates the two with the highest mean log-probability are returned, best first; all are counted."""
    sampling = SamplingParams(temperature=1.0, seed=11)
    with TextEngineRunner() as running:
        every = running.ask(_ask("abc", "xyz", sampling=sampling, n=5, logprobs=0, ending=_ending()))
        best = running.ask(_ask("abc", "xyz", sampling=sampling, n=2, best_of=5, ending=_ending()))
    for prompt in range(2):
        ranked = sorted(range(prompt * 5, prompt * 5 + 5), key=lambda choice: -_mean(every, choice))
        assert [best.texts[prompt * 2 + rank] for rank in range(2)] == [every.texts[one] for one in ranked[:2]]
    assert sorted(best.texts) == [0, 1, 2, 3]
    assert not any(best.scored.values())
    assert best.usage is not None
    assert best.usage.completion_tokens == 2 * 5 * 12


@pytest.mark.parametrize("max_tokens", [0, 6])
@pytest.mark.parametrize("n", [1, 2])
def test_echo_scores_the_prompt_as_a_direct_pass_does(max_tokens: int, n: int) -> None:
    """Every prompt token but the first has its log-probability, cached or not; the text begins with the prompt."""
    with TextEngineRunner(batch=16) as running:
        running.ask(_ask(STORY))
        result = running.ask(_ask(STORY, echo=True, logprobs=3, ending=_ending(max_tokens), n=n))
    executor = FakeExecutor(traits())
    tokens = [START, *STORY.encode()]
    for choice in range(n):
        assert result.texts[choice].startswith(STORY)
        prompt = result.scored[choice][: len(tokens)]
        assert prompt[0].logprob is None
        for position in range(1, len(tokens)):
            row = executor.next_logits(tokens[:position]).astype(np.float64)
            logs = row - np.log(np.exp(row - row.max()).sum()) - row.max()
            assert prompt[position].logprob == pytest.approx(logs[tokens[position]], abs=1e-5)
            assert [one.logprob for one in prompt[position].top] == pytest.approx(sorted(logs)[:-4:-1], abs=1e-5)
        assert result.reasons[choice] == "length"
    assert result.usage is not None
    assert result.usage.completion_tokens == max_tokens * n
    assert result.usage.cached_tokens == 0


def test_echo_without_scores_computes_nothing_for_an_empty_budget() -> None:
    """With max_tokens 0 and no logprobs the prompt is returned without a step."""
    with TextEngineRunner() as running:
        result = running.ask(_ask(STORY, "b", echo=True, ending=StoppingCriteria(max_tokens=0)))
        assert running.engine.stats().steps == 0
    assert dict(result.texts) == {0: STORY, 1: "b"}
    assert result.reasons == {0: "length", 1: "length"}


def test_echo_comes_before_each_choice() -> None:
    """Each choice's text is the prompt followed by its own answer."""
    with TextEngineRunner(script=_scripted(go=" on")) as running:
        result = running.ask(_ask("go", echo=True, n=3))
    assert set(result.texts.values()) == {"go on"}
    assert len(result.texts) == 3


def test_preemption_leaves_texts_unchanged() -> None:
    """Eight long answers in a cache for three have exactly the tokens of a large cache."""
    requests = [
        _ask(f"{index} {STORY}", sampling=SamplingParams(seed=index), ending=_ending(60), n=2, logprobs=1)
        for index in range(4)
    ]
    with TextEngineRunner(window=512, cells=4096) as roomy:
        expected = [roomy.ask(request) for request in requests]
    with TextEngineRunner(window=512, cells=420, sequences=6) as tight:
        results = [tight.end(id) for id in [tight.open(request) for request in requests]]
        assert tight.engine.stats().preemptions > 0
        assert tight.engine.stats().cells_used == 0
    for one, other in zip(expected, results, strict=True):
        assert one.texts == other.texts
        assert one.scored == other.scored


def test_a_slow_reader_gets_the_same_answer() -> None:
    """With one delta of credit at a time, an answer is the same, and never exceeds its credit."""
    request = _ask(STORY, sampling=SamplingParams(seed=3), n=2, ending=_ending(10))
    with TextEngineRunner() as running:
        whole = running.ask(request)
        id = running.open(request, credit=1)
        for given in range(1, whole.deltas):
            running.wait_for_delta(id, given)
            assert sum(isinstance(event, TextDelta) for event in running.events(id)) == given
            running.engine.credit(id, 1)
        assert running.end(id).texts == whole.texts


def test_cached_tokens_are_reported_within_a_project_only() -> None:
    """A repeated prompt is cached except its last token; another project's is not, unless prefixes are shared."""
    requests = {project: msgspec.structs.replace(_ask(STORY), project=project) for project in "ab"}
    with TextEngineRunner() as running:
        usages = [running.ask(requests[project]).usage for project in ("a", "a", "b")]
    length = 1 + len(STORY)
    assert [usage.cached_tokens for usage in usages if usage] == [0, length - 1, 0]
    with TextEngineRunner(share_prefixes=True) as running:
        shared = [running.ask(requests[project]).usage for project in ("a", "b")]
    assert [usage.cached_tokens for usage in shared if usage] == [0, length - 1]


def test_an_overflowing_prompt_is_refused_before_admission() -> None:
    """A prompt and budget that exceed the window fail with context_length_exceeded and no other event."""
    with TextEngineRunner(window=64) as running:
        result = running.ask(_ask(STORY, ending=StoppingCriteria(max_tokens=10)))
        assert result.error is not None
        assert result.error.code == "context_length_exceeded"
        assert result.admitted is None
        assert running.ask(_ask("short")).error is None


def test_options_are_checked_by_name() -> None:
    """An unknown option, a wrong type, an invalid number and an unknown executor are each named."""
    wrong: tuple[tuple[dict[str, str | int | float | bool | None], str], ...] = (
        ({"sliec": 3}, "sliec"),
        ({"batch": "many"}, "batch"),
        ({"prefill_slice": 0}, "prefill_slice"),
        ({"executor": "abacus"}, "abacus"),
    )
    for options, named in wrong:
        with pytest.raises(Unavailable, match=named):
            load(EngineSpec("text", "fake", {}, "", options))


def test_loaded_describes_the_model() -> None:
    """It has the window (limited by the cells), the kernels, the tool family and whether the model reasons."""
    loaded = fake_engine("tiny", window=300, cells=200).loaded
    assert (loaded.model, loaded.window, loaded.kernels) == ("tiny", 200, "fake")
    assert (loaded.tools, loaded.reasoning) == ("generic", "none")
