"""Computes prompts with OpenVINO on CPUs. The extra `prompts` installs what it needs."""
