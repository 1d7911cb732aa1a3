"""What turns token batches into logits: `llama` (the binding)."""
