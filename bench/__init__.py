"""Benchmarks: each is a script, and each figure a ratio within one run."""

from homeport.domain.child_environment import limit_thread_spinning

# As the server does, before numpy is imported, so that the threads of both sides wait in the same way.
limit_thread_spinning()
