"""The weights of a GGUF file as a Hugging Face folder in BF16: `python gguf_to_safetensors.py GGUF FOLDER`.

Runs in the environment of a peer, which has PyTorch, transformers and gguf, so it imports nothing of this project.
"""

import sys
from pathlib import Path


def convert(gguf: Path, folder: Path) -> None:
    """Write weights, configuration and tokenizer. Raises ValueError for an architecture that transformers lacks."""
    import torch  # here, because this project's own environment lacks these packages
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    loaded = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.bfloat16)
    # The loaded model counts as quantized and refuses to be saved; a new one with its tensors does not.
    config = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    plain.load_state_dict(loaded.state_dict())
    plain.save_pretrained(folder)
    AutoTokenizer.from_pretrained(**source).save_pretrained(folder)


if __name__ == "__main__":
    convert(*map(Path, sys.argv[1:]))
