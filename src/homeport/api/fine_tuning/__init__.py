"""Fine-tuning jobs over HTTP: 2023's `/v1/fine-tunes` and today's `/v1/fine_tuning/jobs`, on the same jobs."""
