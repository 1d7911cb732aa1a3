"""The bodies that create a fine-tuning job, of 2023's API and of today's, their checks and hyperparameters.

Knows files and models by name only.
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
_VALIDATION_FILE = served("A file in the same format; its examples are evaluated, not trained on.")


class HyperparametersBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Hyperparameters of today's API; with `auto` and null the server chooses."""

    n_epochs: Annotated[int | str | None, served("1 to 50; auto: depends on the number of examples.")] = None
    batch_size: Annotated[int | str | None, served("1 to 256; auto: 0.2 % of the examples.")] = None
    learning_rate_multiplier: Annotated[
        float | str | None, served("Above 0; multiplies this server's rate for LoRA factors, 0.001; auto: 1.")
    ] = None

    def to_hyperparameters(self, name: str) -> dict[str, Any]:
        """Check the values and return them, None for `auto`. `name`: the path of this object. Raises InvalidRequest."""
        values: dict[str, Any] = {
            field: _chosen(f"{name}.{field}", getattr(self, field)) for field in self.__struct_fields__
        }
        for field, most in (("n_epochs", MAX_EPOCHS), ("batch_size", MAX_BATCH_SIZE)):
            validation.check_integer(f"{name}.{field}", values[field], 1, most)
        validation.check_positive(f"{name}.learning_rate_multiplier", values["learning_rate_multiplier"])
        return values


class PreferenceHyperparametersBody(HyperparametersBody, forbid_unknown_fields=True, kw_only=True):
    """Hyperparameters of the method `dpo`."""

    beta: Annotated[float | str | None, served("Above 0, at most 2; auto: 0.1.")] = None

    def to_hyperparameters(self, name: str) -> dict[str, Any]:
        """Check the values and return them, None for `auto`. Raises InvalidRequest."""
        values = super().to_hyperparameters(name)
        validation.check_positive(f"{name}.beta", values["beta"], MAX_BETA)
        return values


class SupervisedBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The settings of the method `supervised`."""

    hyperparameters: Annotated[
        HyperparametersBody | None, served("n_epochs, batch_size and learning_rate_multiplier, as below.")
    ] = None


class PreferenceBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The settings of the method `dpo`."""

    hyperparameters: Annotated[
        PreferenceHyperparametersBody | None, served("The same, and beta: above 0, at most 2; auto: 0.1.")
    ] = None


class MethodBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The method and its settings."""

    type: Annotated[str, served("supervised or dpo.")]
    supervised: Annotated[SupervisedBody | None, served("Only with the type of this name.")] = None
    dpo: Annotated[PreferenceBody | None, served("Only with the type of this name.")] = None
    reinforcement: Annotated[Any, refused("Not served; neither is the type of this name.")] = None

    def hyperparameters(self) -> Hyperparameters:
        """Check the method and return its hyperparameters. Raises InvalidRequest."""
        if self.type == _REINFORCEMENT:
            raise validation.unsupported_field("method.type", "Reinforcement is not supported: use supervised or dpo.")
        validation.check_choice("method.type", self.type, _METHODS)
        if self.reinforcement is not None:
            raise validation.unsupported_field("method.reinforcement", "Reinforcement is not supported.")
        other = "dpo" if self.type == "supervised" else "supervised"
        if getattr(self, other) is not None:
            raise InvalidRequest(
                f"'method.{other}' is not allowed with the method '{self.type}'.",
                param=f"method.{other}",
                code="invalid_value",
            )
        given = self.dpo if self.type == "dpo" else self.supervised
        wanted = given.hyperparameters if given is not None else None
        values = {} if wanted is None else wanted.to_hyperparameters(f"method.{self.type}.hyperparameters")
        return Hyperparameters(method="dpo" if self.type == "dpo" else "supervised", **values)


class JobBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of today's API."""

    model: Annotated[str, served("A text model in one GGUF file, or a name that stands for one.")]
    training_file: Annotated[
        str,
        served(
            "A file with purpose fine-tune: JSON Lines of prompt and completion, or of messages; for dpo, of "
            "an input and two outputs."
        ),
    ]
    validation_file: Annotated[str | None, _VALIDATION_FILE] = None
    method: Annotated[MethodBody | None, served("Default supervised.")] = None
    hyperparameters: Annotated[
        HyperparametersBody | None,
        served("The former place of the method's hyperparameters; not together with `method`."),
    ] = None
    suffix: Annotated[str | None, served("1 to 64 characters.")] = None
    seed: Annotated[
        int | None, served("0 to 2147483647; default random. The same seed gives the same order of examples.")
    ] = None
    metadata: Annotated[dict[str, str] | None, served("Up to 16 pairs; lists can be filtered by them.")] = None
    integrations: Annotated[
        list[Any] | None, refused("Nothing is sent to other services; an empty list is accepted.")
    ] = None

    def to_hyperparameters(self) -> Hyperparameters:
        """Check the body and return its hyperparameters. Raises InvalidRequest."""
        if self.integrations:
            raise validation.unsupported_field("integrations", "Nothing is sent to other services.")
        validation.check_length("suffix", self.suffix, _SUFFIX, 1)
        validation.check_integer("seed", self.seed, 0, MAX_SEED)
        validation.check_metadata("metadata", self.metadata)
        if self.method is not None and self.hyperparameters is not None:
            raise InvalidRequest(
                "Give 'hyperparameters' inside 'method', not next to it.", param="hyperparameters", code="invalid_value"
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
    """The body of 2023's API."""

    training_file: Annotated[
        str, served("A file with purpose fine-tune: JSON Lines of prompt and completion, or of messages.")
    ]
    validation_file: Annotated[str | None, _VALIDATION_FILE] = None
    model: Annotated[
        str | None, served("A text model in one GGUF file, or a name that stands for one; default curie.")
    ] = None
    n_epochs: Annotated[int | None, served("1 to 50; default 4.")] = None
    batch_size: Annotated[int | None, served("1 to 256; default: 0.2 % of the examples.")] = None
    learning_rate_multiplier: Annotated[
        float | None, served("Above 0; multiplies this server's rate for LoRA factors, 0.001; default 1.")
    ] = None
    prompt_loss_weight: Annotated[float | None, served("0 to 1; default 0.01.")] = None
    compute_classification_metrics: Annotated[
        bool | None, served("Measured on the validation file after each epoch; written to the result file.")
    ] = None
    classification_n_classes: Annotated[
        int | None, served("2 to 10000; must equal the number of classes in the files.")
    ] = None
    classification_positive_class: Annotated[
        str | None, served("A completion in the files; adds its precision, recall and F-scores.")
    ] = None
    classification_betas: Annotated[list[float] | None, served("Above 0; only with a positive class.")] = None
    suffix: Annotated[str | None, served("1 to 40 characters.")] = None

    def to_hyperparameters(self) -> Hyperparameters:
        """Check the body and return its hyperparameters. Raises InvalidRequest."""
        validation.check_integer("n_epochs", self.n_epochs, 1, MAX_EPOCHS)
        validation.check_integer("batch_size", self.batch_size, 1, MAX_BATCH_SIZE)
        validation.check_positive("learning_rate_multiplier", self.learning_rate_multiplier)
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
        """Return what classification metrics need. Refuses its fields if the metrics are off."""
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
            validation.check_positive("classification_betas", beta)
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
    """Draw the seed of a job that names none."""
    return secrets.randbelow(MAX_SEED + 1)


def _chosen(name: str, value: float | str | None) -> float | None:
    if isinstance(value, str):
        validation.check_choice(name, value, (_AUTO,))
        return None
    return value
