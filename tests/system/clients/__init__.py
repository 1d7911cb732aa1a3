"""Programs that run in the environment of old clients (`.venv-clients`) and print what they saw as JSON."""
