"""Fine-tuning jobs: claims and runs them. Knows nothing of HTTP, SQL or gradients."""
