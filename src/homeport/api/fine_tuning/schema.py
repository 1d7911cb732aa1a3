"""The bodies that ask for a fine-tuning job, of 2023 and of today, checked and put into the words of one order.

Knows nothing of files and models but their names.
"""

import secrets
from typing import Annotated, Any

import msgspec

from homeport.api import validation
from homeport.api.compatibility import refused, served
from homeport.domain.errors import InvalidRequest
from homeport.domain.training import Classification, Hyperparameters, Method

MAX_EPOCHS, MAX_BATCH_SIZE, MAX_BETA = 50, 256, 2
MAX_SEED = 2**31 - 1
MAX_CLASS_CHARS = 512
MAX_F_BETAS, MAX_CLASSES = 16, 10_000
_SUFFIX_2023, _SUFFIX = 40, 64
_EPOCHS_2023 = 4
_METHODS: tuple[Method, ...] = ("supervised", "dpo")
_AUTO = "auto"
_REINFORCEMENT = "reinforcement"
_VALIDATION_FILE = served("The same of examples that are looked at, not learnt from.")


class HyperparametersBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How to train, as today's API has it; `auto` and null leave the choice to us."""

    n_epochs: Annotated[int | str | None, served("1 to 50; auto: by the number of examples.")] = None
    batch_size: Annotated[int | str | None, served("1 to 256; auto: 0.2 % of the examples.")] = None
    learning_rate_multiplier: Annotated[
        float | str | None, served("Above 0; of this server's own rate, 0.001 on LoRA factors; auto: 1.")
    ] = None

    def to_hyperparameters(self, name: str) -> dict[str, Any]:
        """The choices that are made. Raises InvalidRequest; `name` is where this stands in the body."""
        values: dict[str, Any] = {
            field: _chosen(f"{name}.{field}", getattr(self, field)) for field in self.__struct_fields__
        }
        for field, most in (("n_epochs", MAX_EPOCHS), ("batch_size", MAX_BATCH_SIZE)):
            validation.check_integer(f"{name}.{field}", values[field], 1, most)
        _above_zero(f"{name}.learning_rate_multiplier", values["learning_rate_multiplier"])
        return values


class PreferenceHyperparametersBody(HyperparametersBody, forbid_unknown_fields=True, kw_only=True):
    """The same for preferences."""

    beta: Annotated[float | str | None, served("Above 0, up to 2; auto: 0.1.")] = None

    def to_hyperparameters(self, name: str) -> dict[str, Any]:
        """The choices that are made. Raises InvalidRequest."""
        values = super().to_hyperparameters(name)
        _above_zero(f"{name}.beta", values["beta"])
        validation.check_number(f"{name}.beta", values["beta"], high=MAX_BETA)
        return values


class SupervisedBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What the method `supervised` takes."""

    hyperparameters: Annotated[
        HyperparametersBody | None, served("n_epochs, batch_size and learning_rate_multiplier, as below.")
    ] = None


class PreferenceBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What the method `dpo` takes."""

    hyperparameters: Annotated[
        PreferenceHyperparametersBody | None, served("The same, and beta: above 0, up to 2; auto: 0.1.")
    ] = None


class MethodBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The method, and what it takes."""

    type: Annotated[str, served("supervised or dpo.")]
    supervised: Annotated[SupervisedBody | None, served("Only with its own type.")] = None
    dpo: Annotated[PreferenceBody | None, served("Only with its own type.")] = None
    reinforcement: Annotated[Any, refused("Not done here, nor is the type of this name.")] = None

    def hyperparameters(self) -> Hyperparameters:
        """The choices that are made. Raises InvalidRequest."""
        if self.type == _REINFORCEMENT:
            raise validation.unsupported_field("method.type", "Reinforcement is not done here: take supervised or dpo.")
        validation.check_choice("method.type", self.type, _METHODS)
        if self.reinforcement is not None:
            raise validation.unsupported_field("method.reinforcement", "Reinforcement is not done here.")
        other = "dpo" if self.type == "supervised" else "supervised"
        if getattr(self, other) is not None:
            raise InvalidRequest(
                f"'method.{other}' is not for the method '{self.type}'.", param=f"method.{other}", code="invalid_value"
            )
        given = self.dpo if self.type == "dpo" else self.supervised
        wanted = given.hyperparameters if given is not None else None
        values = {} if wanted is None else wanted.to_hyperparameters(f"method.{self.type}.hyperparameters")
        return Hyperparameters(method="dpo" if self.type == "dpo" else "supervised", **values)


class JobBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What today's API asks for."""

    model: Annotated[str, served("A text model in one GGUF file, or a name that stands for one.")]
    training_file: Annotated[
        str,
        served(
            "Of purpose fine-tune: JSON Lines of prompt and completion, or of messages; for dpo, of an input and "
            "two outputs."
        ),
    ]
    validation_file: Annotated[str | None, _VALIDATION_FILE] = None
    method: Annotated[MethodBody | None, served("supervised unless given.")] = None
    hyperparameters: Annotated[
        HyperparametersBody | None, served("The older place of the method's; not beside `method`.")
    ] = None
    suffix: Annotated[str | None, served("1 to 64 characters.")] = None
    seed: Annotated[
        int | None, served("0 to 2147483647; drawn unless given. The same seed takes the examples in the same order.")
    ] = None
    metadata: Annotated[dict[str, str] | None, served("Up to 16 pairs; lists can be asked for them.")] = None
    integrations: Annotated[list[Any] | None, refused("Nothing is sent to other services; an empty list passes.")] = (
        None
    )

    def to_hyperparameters(self) -> Hyperparameters:
        """Check the body; give how to train. Raises InvalidRequest."""
        if self.integrations:
            raise validation.unsupported_field("integrations", "Nothing is sent to other services.")
        validation.check_length("suffix", self.suffix, _SUFFIX, 1)
        validation.check_integer("seed", self.seed, 0, MAX_SEED)
        validation.check_metadata("metadata", self.metadata)
        if self.method is not None and self.hyperparameters is not None:
            raise InvalidRequest(
                "Give 'hyperparameters' inside 'method', not beside it.", param="hyperparameters", code="invalid_value"
            )
        if self.method is not None:
            chosen = self.method.hyperparameters()
        else:
            given = (
                self.hyperparameters.to_hyperparameters("hyperparameters") if self.hyperparameters is not None else {}
            )
            chosen = Hyperparameters(**given)
        return msgspec.structs.replace(chosen, seed=random_seed() if self.seed is None else self.seed)


class FineTuneBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What 2023's API asks for."""

    training_file: Annotated[str, served("Of purpose fine-tune: JSON Lines of prompt and completion, or of messages.")]
    validation_file: Annotated[str | None, _VALIDATION_FILE] = None
    model: Annotated[
        str | None, served("A text model in one GGUF file, or a name that stands for one; curie unless given.")
    ] = None
    n_epochs: Annotated[int | None, served("1 to 50; 4 unless given.")] = None
    batch_size: Annotated[int | None, served("1 to 256; 0.2 % of the examples unless given.")] = None
    learning_rate_multiplier: Annotated[
        float | None, served("Above 0; of this server's own rate, 0.001 on LoRA factors; else 1.")
    ] = None
    prompt_loss_weight: Annotated[float | None, served("0 to 1; 0.01 unless given.")] = None
    compute_classification_metrics: Annotated[
        bool | None, served("Of a validation file, at each epoch's end, in the result file.")
    ] = None
    classification_n_classes: Annotated[int | None, served("2 to 10000; must be the files' own number.")] = None
    classification_positive_class: Annotated[
        str | None, served("A completion in the files; precision, recall and F-scores of it.")
    ] = None
    classification_betas: Annotated[list[float] | None, served("Above 0; only with a positive class.")] = None
    suffix: Annotated[str | None, served("1 to 40 characters.")] = None

    def to_hyperparameters(self) -> Hyperparameters:
        """Check the body; give how to train. Raises InvalidRequest."""
        validation.check_integer("n_epochs", self.n_epochs, 1, MAX_EPOCHS)
        validation.check_integer("batch_size", self.batch_size, 1, MAX_BATCH_SIZE)
        _above_zero("learning_rate_multiplier", self.learning_rate_multiplier)
        validation.check_number("prompt_loss_weight", self.prompt_loss_weight, 0, 1)
        validation.check_length("suffix", self.suffix, _SUFFIX_2023, 1)
        usual = Hyperparameters()
        return Hyperparameters(
            n_epochs=self.n_epochs or _EPOCHS_2023,
            batch_size=self.batch_size,
            learning_rate_multiplier=self.learning_rate_multiplier,
            prompt_loss_weight=usual.prompt_loss_weight if self.prompt_loss_weight is None else self.prompt_loss_weight,
            seed=random_seed(),
            classification=self._classification(),
        )

    def _classification(self) -> Classification | None:
        """What is to be measured of classes. Fields of it without the switch are refused: they would do nothing."""
        names = ("classification_n_classes", "classification_positive_class", "classification_betas")
        given = [name for name in names if getattr(self, name) not in (None, [])]
        if not self.compute_classification_metrics:
            if given:
                raise InvalidRequest(f"'{given[0]}' needs 'compute_classification_metrics'.", param=given[0])
            return None
        if self.validation_file is None:
            raise InvalidRequest(
                "'compute_classification_metrics' needs a 'validation_file'.", param="compute_classification_metrics"
            )
        if self.classification_n_classes is None and self.classification_positive_class is None:
            raise InvalidRequest(
                "'compute_classification_metrics' needs 'classification_n_classes', or for two classes "
                "'classification_positive_class'.",
                param="compute_classification_metrics",
            )
        validation.check_integer("classification_n_classes", self.classification_n_classes, 2, MAX_CLASSES)
        validation.check_length("classification_positive_class", self.classification_positive_class, MAX_CLASS_CHARS, 1)
        validation.check_items("classification_betas", self.classification_betas, MAX_F_BETAS)
        for beta in self.classification_betas or ():
            _above_zero("classification_betas", beta)
        if self.classification_betas and self.classification_positive_class is None:
            raise InvalidRequest(
                "'classification_betas' needs 'classification_positive_class'.", param="classification_betas"
            )
        return Classification(
            self.classification_n_classes,
            self.classification_positive_class,
            tuple(self.classification_betas or ()),
        )


def random_seed() -> int:
    """A seed for who gives none."""
    return secrets.randbelow(MAX_SEED + 1)


def _chosen(name: str, value: float | str | None) -> float | None:
    if isinstance(value, str):
        validation.check_choice(name, value, (_AUTO,))
        return None
    return value


def _above_zero(name: str, value: float | None) -> None:
    validation.check_number(name, value)
    if value is not None and value <= 0:
        raise InvalidRequest(
            f"Invalid '{name}': decimal below minimum value. Expected a value > 0, but got {value} instead.",
            param=name,
            code="decimal_below_min_value",
        )
