"""Completions as classes: which questions are made, and what does not fit."""

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
    asked: Classification, learnt: list[CompletionExample] = LEARNT, posed: list[CompletionExample] = POSED
) -> ClassificationEval:
    return build_eval(asked, learnt, posed, ExampleTokenizer(Bytes(), longest=50, prompt_weight=0.5))


def test_every_question_has_every_class_for_an_answer() -> None:
    """Classes come from the training file in alphabetical order; only answers count, and the true one is marked."""
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
    """Another number of classes, none said, and a positive one that is none are refused by name."""
    with pytest.raises(InvalidRequest) as refused:
        quiz(asked)
    assert refused.value.param == param


def test_both_files_must_fit() -> None:
    """A class nobody trained on, no validation, a third class beside a positive one, and chats are refused."""
    two, three = Classification(n_classes=2), [*LEARNT, CompletionExample("f:", "maybe")]
    with pytest.raises(InvalidRequest, match="no training example") as refused:
        quiz(two, posed=[CompletionExample("d:", "maybe")])
    assert refused.value.param == "validation_file"
    with pytest.raises(InvalidRequest, match="on a validation file"):
        quiz(two, posed=[])
    with pytest.raises(InvalidRequest, match="is of two"):
        quiz(Classification(positive_class="yes"), learnt=three)
    with pytest.raises(InvalidRequest, match="prompts and completions"):
        build_eval(two, [ConversationExample((), ())], POSED, ExampleTokenizer(Bytes(), longest=50, prompt_weight=0.5))
