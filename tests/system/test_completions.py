"""Completions with the current official client, on real weights: each parameter does what OpenAI documents."""

import math

import openai
import pytest

from tests.system.server import ServerProcess, Tokenise

MODEL = "smollm2-135m"
PROMPT = "The capital of France is"


def test_a_string_prompt_continues_and_usage_adds_up(client: openai.OpenAI) -> None:
    """A plain prompt gives text, `length` at the default of 16 tokens, and correct usage."""
    answer = client.completions.create(model=MODEL, prompt=PROMPT, temperature=0)
    assert answer.object == "text_completion"
    assert answer.model == MODEL
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 16
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 16
    assert "Paris" in answer.choices[0].text


def test_every_prompt_shape_is_served_in_prompt_major_order(client: openai.OpenAI) -> None:
    """Strings, token ids and lists of both come back as prompts times n choices, in order."""
    shapes: list[object] = [PROMPT, [PROMPT, "Two plus two is"], [504, 3575, 282], [[504, 3575, 282], [504, 3575]]]
    expected = [1, 2, 1, 2]
    for shape, prompts in zip(shapes, expected, strict=True):
        wish = {"model": MODEL, "prompt": shape, "max_tokens": 4, "n": 2, "temperature": 0, "echo": True}
        answer = client.post("/completions", body=wish, cast_to=openai.types.Completion)
        assert [choice.index for choice in answer.choices] == list(range(prompts * 2))
        for prompt in range(prompts):
            assert answer.choices[prompt * 2].text == answer.choices[prompt * 2 + 1].text
        assert answer.usage is not None
        assert answer.usage.completion_tokens == prompts * 2 * 4


def test_no_prompt_begins_a_new_document(client: openai.OpenAI) -> None:
    """Without a prompt the model writes from the beginning of a document."""
    answer = client.post(
        "/completions", body={"model": MODEL, "max_tokens": 8, "temperature": 0}, cast_to=openai.types.Completion
    )
    assert answer.choices[0].text
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 1


def test_logprob_tokens_spell_the_text_and_offsets_are_right(client: openai.OpenAI) -> None:
    """The legacy logprobs are four lists that spell the text; offsets count from the start of the prompt."""
    answer = client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=12, temperature=0, logprobs=5)
    choice = answer.choices[0]
    scores = choice.logprobs
    assert scores is not None
    assert scores.tokens is not None
    assert scores.text_offset is not None
    assert scores.token_logprobs is not None
    assert scores.top_logprobs is not None
    assert "".join(scores.tokens) == choice.text
    offset = len(PROMPT)
    for token, at, logprob, top in zip(
        scores.tokens, scores.text_offset, scores.token_logprobs, scores.top_logprobs, strict=True
    ):
        assert at == offset
        offset += len(token)
        assert logprob <= 0
        assert 5 <= len(top) <= 6
        assert top[token] == pytest.approx(logprob, abs=1e-4)
        assert max(top.values()) == pytest.approx(logprob, abs=1e-4), "greedy takes the likeliest"


def test_echo_gives_the_prompt_back_with_its_scores(client: openai.OpenAI) -> None:
    """Echo without new tokens scores the prompt: the first entry is null, the tokens spell it, usage counts it."""
    answer = client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=0, echo=True, logprobs=1)
    choice = answer.choices[0]
    assert choice.text == PROMPT
    assert choice.logprobs is not None
    assert choice.logprobs.token_logprobs is not None
    assert choice.logprobs.tokens is not None
    assert choice.logprobs.token_logprobs[0] is None
    assert all(value <= 0 for value in choice.logprobs.token_logprobs[1:])
    assert "".join(choice.logprobs.tokens) == PROMPT
    assert choice.logprobs.text_offset is not None
    assert choice.logprobs.text_offset[0] == 0
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == len(choice.logprobs.tokens)
    assert answer.usage.completion_tokens == 0


def test_echo_with_new_tokens_scores_both(client: openai.OpenAI) -> None:
    """Echo with new tokens gives prompt and answer as one text with one run of offsets."""
    answer = client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=5, echo=True, logprobs=2, temperature=0)
    choice = answer.choices[0]
    assert choice.text.startswith(PROMPT)
    assert choice.logprobs is not None
    assert choice.logprobs.tokens is not None
    assert choice.logprobs.text_offset is not None
    assert "".join(choice.logprobs.tokens) == choice.text
    assert answer.usage is not None
    assert len(choice.logprobs.tokens) == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert choice.logprobs.text_offset == sorted(choice.logprobs.text_offset)


def test_a_bias_of_100_forces_and_of_minus_100_bans(client: openai.OpenAI, tokenise: Tokenise) -> None:
    """logit_bias +100 makes a token certain and -100 makes it impossible, at any temperature."""
    [hello] = tokenise(" hello")
    forced = client.completions.create(
        model=MODEL, prompt=PROMPT, max_tokens=6, logit_bias={str(hello): 100}, temperature=2
    )
    assert forced.choices[0].text == " hello" * 6
    plain = client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=1, temperature=0)
    [first] = tokenise(plain.choices[0].text)
    banned = client.completions.create(
        model=MODEL, prompt=PROMPT, max_tokens=1, temperature=0.1, logit_bias={str(first): -100}, n=8
    )
    assert all(choice.text != plain.choices[0].text for choice in banned.choices)


def test_ids_under_an_openai_name_belong_to_its_encoding(client: openai.OpenAI) -> None:
    """A token prompt and a bias under an OpenAI name are read in that name's own encoding."""
    # cl100k_base: "The capital of France is", then " hello"
    ids = [791, 6864, 315, 9822, 374]
    by_ids = client.completions.create(model="gpt-3.5-turbo-instruct", prompt=ids, max_tokens=6, temperature=0)
    by_text = client.completions.create(model="gpt-3.5-turbo-instruct", prompt=PROMPT, max_tokens=6, temperature=0)
    assert by_ids.choices[0].text == by_text.choices[0].text
    assert by_ids.model == "gpt-3.5-turbo-instruct"
    forced = client.completions.create(
        model="gpt-3.5-turbo-instruct", prompt=PROMPT, max_tokens=3, logit_bias={"24748": 100}
    )
    assert forced.choices[0].text == " hello" * 3


def test_the_same_seed_gives_the_same_tokens_and_another_gives_others(client: openai.OpenAI) -> None:
    """Sampling noise comes from the seed: equal seeds agree, different seeds differ."""

    def draw(seed: int) -> list[str]:
        answer = client.completions.create(
            model=MODEL, prompt="Once upon a time", max_tokens=12, temperature=1.5, seed=seed, n=3
        )
        return [choice.text for choice in answer.choices]

    first = draw(7)
    assert first == draw(7)
    assert first != draw(8)
    assert len(set(first)) == 3, "the choices of one request differ"


def test_best_of_returns_the_best_of_what_it_drew(client: openai.OpenAI) -> None:
    """best_of draws that many candidates and returns the n with the highest mean log-probability, best first."""
    drawn = client.completions.create(
        model=MODEL, prompt="Once upon a time", max_tokens=8, temperature=1.3, seed=3, n=5, best_of=5, logprobs=0
    )
    best = client.completions.create(
        model=MODEL, prompt="Once upon a time", max_tokens=8, temperature=1.3, seed=3, n=2, best_of=5, logprobs=0
    )

    def mean(choice: openai.types.CompletionChoice) -> float:
        assert choice.logprobs is not None
        assert choice.logprobs.token_logprobs is not None
        values = choice.logprobs.token_logprobs
        return math.fsum(values) / len(values)

    means = [mean(choice) for choice in best.choices]
    assert means == sorted(means, reverse=True)
    everyone = sorted((mean(choice) for choice in drawn.choices), reverse=True)
    assert means == pytest.approx(everyone[:2], abs=0.05)
    assert best.usage is not None
    assert best.usage.completion_tokens == 5 * 8


def test_stop_strings_end_the_text_and_never_show(client: openai.OpenAI) -> None:
    """A stop string is found across tokens, is not in the text, streamed or not, and the reason is `stop`."""
    plain = client.completions.create(model=MODEL, prompt="1, 2, 3, 4,", max_tokens=30, temperature=0)
    text = plain.choices[0].text
    stop = text[9:13]
    whole = client.completions.create(model=MODEL, prompt="1, 2, 3, 4,", max_tokens=30, temperature=0, stop=[stop, "@"])
    assert whole.choices[0].text == text[: text.index(stop)]
    assert whole.choices[0].finish_reason == "stop"
    chunks = client.completions.create(
        model=MODEL, prompt="1, 2, 3, 4,", max_tokens=30, temperature=0, stop=stop, stream=True
    )
    pieces = [choice.text for chunk in chunks for choice in chunk.choices]
    assert "".join(pieces) == whole.choices[0].text


def test_a_stream_carries_what_the_whole_answer_carries(client: openai.OpenAI) -> None:
    """n, several prompts, echo and logprobs stream: the joined pieces are the whole answer."""
    wish = {
        "model": MODEL, "prompt": [PROMPT, "Water is"], "max_tokens": 6, "n": 2, "echo": True, "logprobs": 2,
        "seed": 11, "temperature": 0,
    }  # fmt: skip
    whole = client.completions.create(**wish)  # type: ignore[call-overload]
    chunks = list(client.completions.create(**wish, stream=True, stream_options={"include_usage": True}))  # type: ignore[call-overload]
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert chunks[-1].usage.prompt_tokens == whole.usage.prompt_tokens
    for choice in whole.choices:
        parts = [c for chunk in chunks for c in chunk.choices if c.index == choice.index]
        assert "".join(c.text for c in parts) == choice.text
        tokens = [token for c in parts if c.logprobs for token in c.logprobs.tokens]
        offsets = [offset for c in parts if c.logprobs for offset in c.logprobs.text_offset]
        assert tokens == choice.logprobs.tokens
        assert offsets == choice.logprobs.text_offset
        assert [c.finish_reason for c in parts if c.finish_reason] == [choice.finish_reason]


def test_penalties_act_on_generated_tokens(client: openai.OpenAI) -> None:
    """A frequency penalty of 2 breaks a loop of greedy decoding; the prompt's tokens are not penalized."""
    prompt = "na na na na na na na na na na na na"
    loop = client.completions.create(model=MODEL, prompt=prompt, max_tokens=24, temperature=0)
    freed = client.completions.create(model=MODEL, prompt=prompt, max_tokens=24, temperature=0, frequency_penalty=2)
    assert loop.choices[0].text.count("na") > freed.choices[0].text.count("na")
    first = client.completions.create(
        model=MODEL, prompt=prompt, max_tokens=1, temperature=0, frequency_penalty=2, presence_penalty=2
    )
    assert first.choices[0].text == loop.choices[0].text[: len(first.choices[0].text)]


def test_top_p_near_zero_is_greedy(client: openai.OpenAI) -> None:
    """top_p 0 keeps the likeliest token alone, at any temperature."""
    greedy = client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=8, temperature=0)
    narrow = client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=8, temperature=2, top_p=0)
    assert narrow.choices[0].text == greedy.choices[0].text


@pytest.mark.parametrize(
    ("extension", "value"),
    [("top_k", 1), ("min_p", 1.0)],
)
def test_extensions_of_local_users_narrow_the_draw(client: openai.OpenAI, extension: str, value: float) -> None:
    """top_k 1 and min_p 1 leave the likeliest token alone."""
    greedy = client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=8, temperature=0)
    narrow = client.completions.create(
        model=MODEL, prompt=PROMPT, max_tokens=8, temperature=2, extra_body={extension: value}
    )
    assert narrow.choices[0].text == greedy.choices[0].text


def test_suffix_is_refused_by_a_model_without_fill_in_the_middle(client: openai.OpenAI) -> None:
    """A model without fill-in-the-middle tokens refuses `suffix` by name."""
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model=MODEL, prompt="def f(", suffix="return x")
    assert caught.value.param == "suffix"


def test_a_prompt_over_the_window_is_refused_with_both_numbers(client: openai.OpenAI) -> None:
    """Prompt plus max_tokens over the window is context_length_exceeded; nothing is truncated."""
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model=MODEL, prompt=[[504] * 8000], max_tokens=500)
    assert caught.value.code == "context_length_exceeded"
    assert "8192" in caught.value.message
    assert "8500" in caught.value.message


@pytest.mark.one_machine("the nodes keep no prefixes")
def test_a_repeated_prompt_is_not_computed_again(default_server: ServerProcess) -> None:
    """The second of two equal prompts reports nearly all of its tokens as cached."""
    prompt = "A long shared beginning, said twice in the same words. " * 12
    with openai.OpenAI(base_url=default_server.base, api_key="x", max_retries=0, timeout=120) as client:
        client.completions.create(model="davinci", prompt=prompt, max_tokens=1)
        again = client.completions.create(model="davinci", prompt=prompt, max_tokens=1)
    assert again.usage is not None
    assert again.usage.prompt_tokens_details is not None
    assert again.usage.prompt_tokens_details.cached_tokens is not None
    assert again.usage.prompt_tokens_details.cached_tokens >= again.usage.prompt_tokens - 1


def test_infill_writes_the_middle(default_server: ServerProcess) -> None:
    """On a model with fill-in-the-middle tokens, `suffix` gives the code between the two parts."""
    with openai.OpenAI(base_url=default_server.base, api_key="x", max_retries=0, timeout=120) as client:
        answer = client.completions.create(
            model="qwen2.5-coder-0.5b",
            prompt="def fibonacci(n):\n    a, b = 0, 1\n    for _ in range(n):\n        ",
            suffix="\n    return a\n",
            max_tokens=24,
            temperature=0,
        )
    assert "a, b = b, a + b" in answer.choices[0].text
