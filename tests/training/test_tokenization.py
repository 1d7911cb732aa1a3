"""Examples become exactly the tokens that are served, with weight on what is trained."""

from collections.abc import Sequence

import pytest

from homeport.domain.content import Message, ToolCallPart, ToolResultPart, text_message
from homeport.domain.errors import InvalidRequest
from homeport.domain.tools import Tool, ToolUse
from homeport.training.dataset import CompletionExample, ConversationExample, PreferenceExample
from homeport.training.tokenization import (
    ExampleTokenizer,
    TokenizedExample,
    TokenizedPair,
    group_by_length,
)
from tests.training.fake_reader import (
    BEGIN,
    DOCUMENT_END,
    END,
    Bytes,
)

ASK, SAY, AGAIN, MORE = (
    text_message("user", "q"),
    text_message("assistant", "yes"),
    text_message("user", "r"),
    text_message("assistant", "no"),
)


def tutor(source: Bytes | None = None) -> ExampleTokenizer:
    return ExampleTokenizer(source or Bytes(), max_tokens=40, prompt_weight=0.25)


def weighted_bytes(example: TokenizedExample, weight: float) -> bytes:
    """Return the bytes of an example with this weight."""
    return bytes(id for id, own in zip(example.ids, example.weights, strict=True) if own == weight and id < 256)


def test_a_completion_counts_in_full_and_its_prompt_in_part() -> None:
    """Prompt and completion are tokenized separately, as when served, and the document ends."""
    ((example,), pairs) = tutor().tokenize_all([CompletionExample("ab", "cd")], "training_file")
    assert example == TokenizedExample((*b"abcd", DOCUMENT_END), (0.25, 0.25, 1.0, 1.0, 1.0))
    assert pairs == []


def test_a_conversation_teaches_its_answers_alone() -> None:
    """One example for all turns: answers and the token that ends them count, everything else does not."""
    ((example,), _) = tutor().tokenize_all([ConversationExample((ASK, SAY, AGAIN, MORE), (1, 3))], "training_file")
    assert example.ids == (BEGIN, *b"uq", END, BEGIN, *b"ayes", END, BEGIN, *b"ur", END, BEGIN, *b"ano", END)
    assert weighted_bytes(example, 1.0) == b"yesno"
    assert [weight for id, weight in zip(example.ids, example.weights, strict=True) if id == END] == [
        0.0,
        1.0,
        0.0,
        1.0,
    ]


def test_calls_are_taught_as_the_template_writes_them() -> None:
    """An answer with calls counts up to its end token; its results, the tools and the questions do not."""
    call = Message("assistant", (ToolCallPart("1", "f", "{}"),))
    result = Message("tool", (ToolResultPart("1", "5"),))
    tools = ToolUse((Tool("f"),))
    example = ConversationExample((ASK, call, result, SAY), (1, 3), tools)
    ((found,), _) = tutor().tokenize_all([example], "training_file")
    assert found.ids == (
        *(BEGIN, *b"f", END),
        *(BEGIN, *b"uq", END),
        *(BEGIN, *b"af({})", END),
        *(BEGIN, *b"t5", END),
        *(BEGIN, *b"ayes", END),
    )
    assert weighted_bytes(found, 1.0) == b"f({})yes"


def test_calls_that_the_template_does_not_write_cannot_be_trained_on() -> None:
    """If the rendered answer does not continue its prompt, the example is refused."""
    call = Message("assistant", (ToolCallPart("1", "f", "{}"),))
    example = ConversationExample((ASK, SAY, AGAIN, call), (3,))

    class Rewriting(Bytes):
        def render_conversation(self, messages: Sequence[Message], tools: ToolUse | None = None) -> list[int]:
            return [len(messages), *super().render_conversation(messages, tools)]

    with pytest.raises(InvalidRequest, match=r"Example 1 .* does not write tool calls"):
        tutor(Rewriting()).tokenize_all([example], "training_file")


def test_turns_that_do_not_continue_each_other_are_separate_examples() -> None:
    """If the template changes earlier turns, each answer follows what will really be its prompt."""
    (found, _) = tutor(Bytes(forgets=True)).tokenize_all(
        [ConversationExample((ASK, SAY, AGAIN, MORE), (1, 3))], "training_file"
    )
    assert [weighted_bytes(example, 1.0) for example in found] == [b"yes", b"no"]


def test_a_preference_is_a_pair() -> None:
    """Both answers follow the same messages."""
    (_, (pair,)) = tutor().tokenize_all([PreferenceExample((ASK,), "yes", "no")], "training_file")
    assert isinstance(pair, TokenizedPair)
    assert (weighted_bytes(pair.chosen, 1.0), weighted_bytes(pair.rejected, 1.0)) == (b"yes", b"no")
    assert pair.chosen.ids[:6] == pair.rejected.ids[:6]


def test_invalid_examples_are_named() -> None:
    """An example that is too long, and one that the template refuses, are named by number."""
    with pytest.raises(InvalidRequest, match=r"Example 2 .*51 tokens; at most 40") as found:
        tutor().tokenize_all([CompletionExample("a", "b"), CompletionExample("a", "b" * 49)], "validation_file")
    assert found.value.param == "validation_file"
    with pytest.raises(InvalidRequest, match=r"Example 1 .*system"):
        tutor().tokenize_all([ConversationExample((ASK, text_message("system", "x"), SAY), (2,))], "training_file")


def test_examples_are_grouped_up_to_a_bound() -> None:
    """Each index is used once, padding counts, and one that exceeds the bound is alone."""
    lengths = [3, 90, 10, 9, 4, 2]
    found = group_by_length(lengths, 20)
    assert sorted(place for places in found for place in places) == list(range(6))
    assert all(len(places) * max(lengths[place] for place in places) <= 20 or len(places) == 1 for places in found)
    assert found[0] == [1]
