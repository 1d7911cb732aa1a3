"""The tokenizer endpoints, in the format of vLLM."""
