"""Benchmarks: each a script, each figure a ratio in one run."""

from homeport.domain.child_environment import limit_thread_spinning

# As the server does, and before numpy is imported: both sides wait for their threads in the same way.
limit_thread_spinning()
