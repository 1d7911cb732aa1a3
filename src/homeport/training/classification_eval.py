"""Completions as classes: each validation example as a question with every class for an answer.

A class is judged by the likelihood of all its tokens, so classes may be several tokens long. Knows nothing of measures.
"""

from collections.abc import Sequence

import msgspec

from homeport.domain.errors import InvalidRequest
from homeport.domain.training import Classification
from homeport.training.dataset import CompletionExample, Example
from homeport.training.tokenization import ExampleTokenizer, TokenizedExample, TokenizedPair

TRAINING, VALIDATION = "training_file", "validation_file"
_BOTH = 2


class ClassificationEval(msgspec.Struct, frozen=True):
    """Questions: of each, one lesson for every class, and the place of the true one. `positive`: that of two."""

    options: Classification
    choices: tuple[tuple[TokenizedExample, ...], ...]
    truths: tuple[int, ...]
    positive: int | None


class TrainingData(msgspec.Struct, frozen=True):
    """What is learnt, and what is only looked at: of one kind, or of the other; and the quiz, if one is asked for."""

    training: Sequence[TokenizedExample] | Sequence[TokenizedPair]
    validation: Sequence[TokenizedExample] | Sequence[TokenizedPair]
    quiz: ClassificationEval | None = None

    @property
    def tokens(self) -> int:
        """Tokens of one epoch."""
        return sum(one.size for one in self.training)


def build_eval(
    asked: Classification, training: Sequence[Example], validation: Sequence[Example], tutor: ExampleTokenizer
) -> ClassificationEval:
    """The quiz of two files. Raises InvalidRequest naming what does not fit the classes in the training file."""
    learnt, posed = _completions(training, TRAINING), _completions(validation, VALIDATION)
    if not posed:
        raise InvalidRequest("Classification is measured on a validation file.", param=VALIDATION)
    classes = {example.completion.strip(): example.completion for example in learnt}
    names = sorted(classes)
    positive = _positive(asked, names)
    choices, truths = [], []
    for number, example in enumerate(posed, 1):
        name = example.completion.strip()
        if name not in classes:
            raise InvalidRequest(
                f"Example {number} is of the class {name!r}, which no training example has.", param=VALIDATION
            )
        choices.append(tuple(tutor.tokenize_completion(example.prompt, classes[each]) for each in names))
        truths.append(names.index(name))
    return ClassificationEval(asked, tuple(choices), tuple(truths), positive)


def _positive(asked: Classification, names: Sequence[str]) -> int | None:
    """The place of the positive class, of two. Raises InvalidRequest."""
    if asked.n_classes is not None and asked.n_classes != len(names):
        raise InvalidRequest(
            f"The training file has {len(names)} classes, not {asked.n_classes}.", param="classification_n_classes"
        )
    if asked.positive_class is None:
        if asked.n_classes is None:
            raise InvalidRequest(
                "Say how many classes there are, or which one of two is positive.", param="classification_n_classes"
            )
        return None
    if len(names) != _BOTH:
        raise InvalidRequest(
            f"A positive class is of two; the training file has {len(names)}.", param="classification_positive_class"
        )
    name = asked.positive_class.strip()
    if name not in names:
        raise InvalidRequest(f"No completion in the training file is {name!r}.", param="classification_positive_class")
    return names.index(name)


def _completions(examples: Sequence[Example], param: str) -> list[CompletionExample]:
    found = [example for example in examples if isinstance(example, CompletionExample)]
    if len(found) != len(examples):
        raise InvalidRequest("Classes are completions: the file must hold prompts and completions.", param=param)
    return found
