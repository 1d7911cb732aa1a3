"""Fine-tuning: trains a LoRA adapter of a model, in a process of its own. Knows nothing of fine-tuning jobs.

Only the child process imports torch, which the extra `homeport[train]` installs.
"""
