"""The bodies that ask for a fine-tuning job, of 2023 and of today, checked and put into the words of one order.

Knows nothing of files and models but their names.
"""

import secrets
from typing import Any

import msgspec

from homeport.api import validation
from homeport.domain.errors import InvalidRequest
from homeport.domain.training import Classification, Hyperparameters, Method

MAX_EPOCHS, MAX_BATCH_SIZE, MAX_BETA = 50, 256, 2
MAX_SEED = 2**31 - 1
MAX_METADATA_PAIRS, KEY_LENGTH, VALUE_LENGTH = 16, 64, 512
MAX_F_BETAS, MAX_CLASSES = 16, 10_000
_SUFFIX_2023, _SUFFIX = 40, 64
_EPOCHS_2023 = 4
_METHODS: tuple[Method, ...] = ("supervised", "dpo")
_AUTO = "auto"
_REINFORCEMENT = "reinforcement"


class HyperparametersBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How to train, as today's API has it; `auto` and null leave the choice to us."""

    n_epochs: int | str | None = None
    batch_size: int | str | None = None
    learning_rate_multiplier: float | str | None = None

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

    beta: float | str | None = None

    def to_hyperparameters(self, name: str) -> dict[str, Any]:
        """The choices that are made. Raises InvalidRequest."""
        values = super().to_hyperparameters(name)
        _above_zero(f"{name}.beta", values["beta"])
        validation.check_number(f"{name}.beta", values["beta"], high=MAX_BETA)
        return values


class SupervisedBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What the method `supervised` takes."""

    hyperparameters: HyperparametersBody | None = None


class PreferenceBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What the method `dpo` takes."""

    hyperparameters: PreferenceHyperparametersBody | None = None


class MethodBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The method, and what it takes."""

    type: str
    supervised: SupervisedBody | None = None
    dpo: PreferenceBody | None = None
    reinforcement: Any = None

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

    model: str
    training_file: str
    validation_file: str | None = None
    hyperparameters: HyperparametersBody | None = None
    method: MethodBody | None = None
    suffix: str | None = None
    seed: int | None = None
    metadata: dict[str, str] | None = None
    integrations: list[Any] | None = None

    def to_hyperparameters(self) -> Hyperparameters:
        """Check the body; give how to train. Raises InvalidRequest."""
        if self.integrations:
            raise validation.unsupported_field("integrations", "Nothing is sent to other services.")
        validation.check_length("suffix", self.suffix, _SUFFIX, 1)
        validation.check_integer("seed", self.seed, 0, MAX_SEED)
        check_metadata(self.metadata)
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

    training_file: str
    validation_file: str | None = None
    model: str | None = None
    n_epochs: int | None = None
    batch_size: int | None = None
    learning_rate_multiplier: float | None = None
    prompt_loss_weight: float | None = None
    compute_classification_metrics: bool | None = None
    classification_n_classes: int | None = None
    classification_positive_class: str | None = None
    classification_betas: list[float] | None = None
    suffix: str | None = None

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
        validation.check_length("classification_positive_class", self.classification_positive_class, VALUE_LENGTH, 1)
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


def check_metadata(metadata: dict[str, str] | None) -> None:
    """Check pairs of keys and values. Raises InvalidRequest."""
    if metadata is None:
        return
    if len(metadata) > MAX_METADATA_PAIRS:
        raise InvalidRequest(f"Invalid 'metadata': more than {MAX_METADATA_PAIRS} pairs.", param="metadata")
    for key, value in metadata.items():
        validation.check_length("metadata", key, KEY_LENGTH)
        validation.check_length("metadata", value, VALUE_LENGTH)


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
