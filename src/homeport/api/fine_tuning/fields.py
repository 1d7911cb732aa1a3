"""Every field that asks for a fine-tuning job, and what is done with it. Knows nothing of values."""

from collections.abc import Mapping

from homeport.api.compatibility import FieldNote, FieldSupport

_S, _R = FieldSupport.SERVED, FieldSupport.REFUSED

_TRAINING = "Of purpose fine-tune: JSON Lines of prompt and completion, or of messages"
_EPOCHS, _BATCH = "1 to 50; auto: by the number of examples.", "1 to 256; auto: 0.2 % of the examples."
_RATE = "Above 0; of this server's own rate, 0.001 on LoRA factors; auto: 1."
_VALIDATION = "The same of examples that are looked at, not learnt from."

FIELDS: Mapping[str, tuple[FieldNote, ...]] = {
    "fine_tunes": (
        FieldNote("training_file", _S, f"{_TRAINING}."),
        FieldNote("validation_file", _S, _VALIDATION),
        FieldNote("model", _S, "A text model in one GGUF file, or a name that stands for one; curie unless given."),
        FieldNote("n_epochs", _S, "1 to 50; 4 unless given."),
        FieldNote("batch_size", _S, "1 to 256; 0.2 % of the examples unless given."),
        FieldNote("learning_rate_multiplier", _S, "Above 0; of this server's own rate, 0.001 on LoRA factors; else 1."),
        FieldNote("prompt_loss_weight", _S, "0 to 1; 0.01 unless given."),
        FieldNote(
            "compute_classification_metrics", _S, "Of a validation file, at each epoch's end, in the result file."
        ),
        FieldNote("classification_n_classes", _S, "2 to 10000; must be the files' own number."),
        FieldNote(
            "classification_positive_class", _S, "A completion in the files; precision, recall and F-scores of it."
        ),
        FieldNote("classification_betas", _S, "Above 0; only with a positive class."),
        FieldNote("suffix", _S, "1 to 40 characters."),
    ),
    "fine_tuning_jobs": (
        FieldNote("model", _S, "A text model in one GGUF file, or a name that stands for one."),
        FieldNote("training_file", _S, f"{_TRAINING}; for dpo, of an input and two outputs."),
        FieldNote("validation_file", _S, _VALIDATION),
        FieldNote("method", _S, "supervised unless given."),
        FieldNote("method.type", _S, "supervised or dpo."),
        FieldNote("method.supervised", _S, "Only with its own type."),
        FieldNote(
            "method.supervised.hyperparameters", _S, "n_epochs, batch_size and learning_rate_multiplier, as below."
        ),
        FieldNote("method.dpo", _S, "Only with its own type."),
        FieldNote("method.dpo.hyperparameters", _S, "The same, and beta: above 0, up to 2; auto: 0.1."),
        FieldNote("method.reinforcement", _R, "Not done here, nor is the type of this name."),
        FieldNote("hyperparameters", _S, "The older place of the method's; not beside `method`."),
        FieldNote("hyperparameters.n_epochs", _S, _EPOCHS),
        FieldNote("hyperparameters.batch_size", _S, _BATCH),
        FieldNote("hyperparameters.learning_rate_multiplier", _S, _RATE),
        FieldNote("suffix", _S, "1 to 64 characters."),
        FieldNote(
            "seed", _S, "0 to 2147483647; drawn unless given. The same seed takes the examples in the same order."
        ),
        FieldNote("metadata", _S, "Up to 16 pairs; lists can be asked for them."),
        FieldNote("integrations", _R, "Nothing is sent to other services; an empty list passes."),
    ),
}
"""By endpoint. What the model must be able to do is the same for both."""
