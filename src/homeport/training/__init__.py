"""Fine-tuning: a LoRA adapter trained on a model's weights, in a process of its own. Knows nothing of jobs' records.

Only the child process imports torch, which the extra `homeport[train]` brings.
"""
