"""Pictures and sound in prompts: read and encoded by a child process, and placed between tokens."""
