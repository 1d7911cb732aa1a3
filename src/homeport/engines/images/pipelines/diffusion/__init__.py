"""Anybody's diffusion weights, by stable-diffusion.cpp in a process of its own.

The library cannot be told to stop, so it sits in a child of the worker (`easel`) that is killed and loaded anew:
requests that wait in the worker only wait a little longer.
"""
