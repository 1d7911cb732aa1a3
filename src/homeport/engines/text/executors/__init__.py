"""What turns token batches into logits: `llama` (the binding) and `fake` (deterministic, for tests)."""
