"""Completions as class labels: the questions, and what is refused."""

import pytest

from homeport.domain.errors import InvalidRequest
from homeport.domain.training import Classification
from homeport.training.classification_eval import ClassificationEval, build_eval
from homeport.training.dataset import CompletionExample, ConversationExample
from homeport.training.tokenization import ExampleTokenizer
from tests.training.fake_reader import DOCUMENT_END, Bytes

LEARNT = [CompletionExample("a:", " yes"), CompletionExample("b:", " no"), CompletionExample("c:", " no")]
POSED = [CompletionExample("d:", " no"), CompletionExample("e:", " yes")]


def quiz(
    asked: Classification, training: list[CompletionExample] = LEARNT, validation: list[CompletionExample] = POSED
) -> ClassificationEval:
    return build_eval(asked, training, validation, ExampleTokenizer(Bytes(), max_tokens=50, prompt_weight=0.5))


def test_every_question_has_every_class_for_an_answer() -> None:
    """Classes are those of the training file in alphabetical order; only answers count, and the true one is marked."""
    found = quiz(Classification(n_classes=2, positive_class=" yes"))
    assert (found.truths, found.positive) == ((0, 1), 1)
    no, yes = found.choices[0]
    assert no.ids == (*b"d: no", DOCUMENT_END)
    assert yes.ids == (*b"d: yes", DOCUMENT_END)
    assert yes.weights == (0.0,) * 2 + (1.0,) * 5
    assert quiz(Classification(n_classes=2)).positive is None


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (Classification(n_classes=3), "classification_n_classes"),
        (Classification(), "classification_n_classes"),
        (Classification(positive_class="maybe"), "classification_positive_class"),
    ],
)
def test_classes_must_be_those_of_the_file(asked: Classification, param: str) -> None:
    """Another number of classes, none at all, and a positive one that is no class are refused by name."""
    with pytest.raises(InvalidRequest) as refused:
        quiz(asked)
    assert refused.value.param == param


def test_both_files_must_fit() -> None:
    """A class without training examples, no validation, a third class with a positive one, and chats are refused."""
    two, three = Classification(n_classes=2), [*LEARNT, CompletionExample("f:", "maybe")]
    with pytest.raises(InvalidRequest, match="no training example") as refused:
        quiz(two, validation=[CompletionExample("d:", "maybe")])
    assert refused.value.param == "validation_file"
    with pytest.raises(InvalidRequest, match="need a validation file"):
        quiz(two, validation=[])
    with pytest.raises(InvalidRequest, match="needs two classes"):
        quiz(Classification(positive_class="yes"), training=three)
    with pytest.raises(InvalidRequest, match="prompts and completions"):
        build_eval(
            two, [ConversationExample((), ())], POSED, ExampleTokenizer(Bytes(), max_tokens=50, prompt_weight=0.5)
        )
