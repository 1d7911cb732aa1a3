"""Diffusion models, run by stable-diffusion.cpp in a process of its own.

The library cannot be interrupted, so it runs in a child process of the engine's worker (`worker`). To stop an image,
that process is killed and a new one loads the model; waiting requests only wait a little longer.
"""
