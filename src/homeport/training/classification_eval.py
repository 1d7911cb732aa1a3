"""Completions as class labels: each validation example as a question with every class as a candidate answer.

A class is scored by the likelihood of all its tokens, so classes may have several tokens. Knows nothing of metrics.
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
    """Questions: for each, one tokenized example per class, and the index of the true class. `positive`: one of two."""

    options: Classification
    choices: tuple[tuple[TokenizedExample, ...], ...]
    truths: tuple[int, ...]
    positive: int | None


class TrainingData(msgspec.Struct, frozen=True):
    """The examples to train on and to validate with, of one kind, and the classification eval, if requested."""

    training: Sequence[TokenizedExample] | Sequence[TokenizedPair]
    validation: Sequence[TokenizedExample] | Sequence[TokenizedPair]
    evaluation: ClassificationEval | None = None

    @property
    def tokens(self) -> int:
        """The tokens of one epoch."""
        return sum(one.size for one in self.training)


def build_eval(
    options: Classification, training: Sequence[Example], validation: Sequence[Example], tokenizer: ExampleTokenizer
) -> ClassificationEval:
    """Build the eval of two files. Raises InvalidRequest that names what does not match the training file's classes."""
    training_examples, validation_examples = _completions(training, TRAINING), _completions(validation, VALIDATION)
    if not validation_examples:
        raise InvalidRequest("Classification metrics need a validation file: add one.", param=VALIDATION)
    classes = {example.completion.strip(): example.completion for example in training_examples}
    names = sorted(classes)
    positive = _positive(options, names)
    choices, truths = [], []
    for number, example in enumerate(validation_examples, 1):
        name = example.completion.strip()
        if name not in classes:
            raise InvalidRequest(
                f"Example {number} is of the class {name!r}, which no training example has.", param=VALIDATION
            )
        choices.append(tuple(tokenizer.tokenize_completion(example.prompt, classes[each]) for each in names))
        truths.append(names.index(name))
    return ClassificationEval(options, tuple(choices), tuple(truths), positive)


def _positive(options: Classification, names: Sequence[str]) -> int | None:
    """Return the index of the positive class, of two. Raises InvalidRequest."""
    if options.n_classes is not None and options.n_classes != len(names):
        raise InvalidRequest(
            f"The training file has {len(names)} classes, not {options.n_classes}.", param="classification_n_classes"
        )
    if options.positive_class is None:
        if options.n_classes is None:
            raise InvalidRequest(
                "Set the number of classes, or which one of two is positive.", param="classification_n_classes"
            )
        return None
    if len(names) != _BOTH:
        raise InvalidRequest(
            f"A positive class needs two classes, but the training file has {len(names)}.",
            param="classification_positive_class",
        )
    name = options.positive_class.strip()
    if name not in names:
        raise InvalidRequest(f"No completion in the training file is {name!r}.", param="classification_positive_class")
    return names.index(name)


def _completions(examples: Sequence[Example], param: str) -> list[CompletionExample]:
    completions = [example for example in examples if isinstance(example, CompletionExample)]
    if len(completions) != len(examples):
        raise InvalidRequest("Classes are completions: the file must hold prompts and completions.", param=param)
    return completions
