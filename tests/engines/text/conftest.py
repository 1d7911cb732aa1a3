"""Executors for the text engine's tests: both real models with small caches, and the fake one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from homeport.engines.text.executor import ExecutorTraits
from homeport.engines.text.executors.llama.executor import LlamaExecutor, LlamaOptions, load
from tests.engines.text.fake_executor import FakeExecutor

# One thread: kernels spin while they wait for each other, which is slow if several test runs share a machine.
OPTIONS = LlamaOptions(window=512, cells=512, sequences=1, batch=512, threads=1)


@pytest.fixture(scope="session")
def small(smollm2: Path) -> Iterator[LlamaExecutor]:
    """The smallest model: its template accepts any role, and it has no fill-in-the-middle tokens."""
    executor = load(smollm2, OPTIONS)
    yield executor
    executor.close()


@pytest.fixture(scope="session")
def coder(qwen: Path) -> Iterator[LlamaExecutor]:
    """The default model: its template supports tools, and it has fill-in-the-middle tokens."""
    executor = load(qwen, OPTIONS)
    yield executor
    executor.close()


@pytest.fixture
def fake() -> FakeExecutor:
    """A byte-level vocabulary with a start token, fill-in-the-middle and a template."""
    return FakeExecutor(ExecutorTraits(window=64, cells=256, sequences=4, batch=64, shares_cells=True, can_trim=True))
