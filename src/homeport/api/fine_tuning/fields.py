"""Every field that asks for a fine-tuning job, and what is done with it. Knows nothing of values."""

from collections.abc import Mapping

from homeport.api.compatibility import Field, Status

_S, _R = Status.SERVED, Status.REFUSED

_TRAINING = "Of purpose fine-tune: JSON Lines of prompt and completion, or of messages"
_EPOCHS, _BATCH = "1 to 50; auto: by the number of examples.", "1 to 256; auto: 0.2 % of the examples."
_RATE = "Above 0; of this server's own rate, 0.001 on LoRA factors; auto: 1."
_VALIDATION = "The same of examples that are looked at, not learnt from."

FIELDS: Mapping[str, tuple[Field, ...]] = {
    "fine_tunes": (
        Field("training_file", _S, f"{_TRAINING}."),
        Field("validation_file", _S, _VALIDATION),
        Field("model", _S, "A text model in one GGUF file, or a name that stands for one; curie unless given."),
        Field("n_epochs", _S, "1 to 50; 4 unless given."),
        Field("batch_size", _S, "1 to 256; 0.2 % of the examples unless given."),
        Field("learning_rate_multiplier", _S, "Above 0; of this server's own rate, 0.001 on LoRA factors; else 1."),
        Field("prompt_loss_weight", _S, "0 to 1; 0.01 unless given."),
        Field("compute_classification_metrics", _S, "Of a validation file, at each epoch's end, in the result file."),
        Field("classification_n_classes", _S, "2 to 10000; must be the files' own number."),
        Field("classification_positive_class", _S, "A completion in the files; precision, recall and F-scores of it."),
        Field("classification_betas", _S, "Above 0; only with a positive class."),
        Field("suffix", _S, "1 to 40 characters."),
    ),
    "fine_tuning_jobs": (
        Field("model", _S, "A text model in one GGUF file, or a name that stands for one."),
        Field("training_file", _S, f"{_TRAINING}; for dpo, of an input and two outputs."),
        Field("validation_file", _S, _VALIDATION),
        Field("method", _S, "supervised unless given."),
        Field("method.type", _S, "supervised or dpo."),
        Field("method.supervised", _S, "Only with its own type."),
        Field("method.supervised.hyperparameters", _S, "n_epochs, batch_size and learning_rate_multiplier, as below."),
        Field("method.dpo", _S, "Only with its own type."),
        Field("method.dpo.hyperparameters", _S, "The same, and beta: above 0, up to 2; auto: 0.1."),
        Field("method.reinforcement", _R, "Not done here, nor is the type of this name."),
        Field("hyperparameters", _S, "The older place of the method's; not beside `method`."),
        Field("hyperparameters.n_epochs", _S, _EPOCHS),
        Field("hyperparameters.batch_size", _S, _BATCH),
        Field("hyperparameters.learning_rate_multiplier", _S, _RATE),
        Field("suffix", _S, "1 to 64 characters."),
        Field("seed", _S, "0 to 2147483647; drawn unless given. The same seed takes the examples in the same order."),
        Field("metadata", _S, "Up to 16 pairs; lists can be asked for them."),
        Field("integrations", _R, "Nothing is sent to other services; an empty list passes."),
    ),
}
"""By endpoint. What the model must be able to do is the same for both."""
