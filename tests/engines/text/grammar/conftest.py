"""Compilers for the fake executor's vocabulary and for a real one."""

from collections.abc import Iterator

import pytest

from homeport.engines.text.executors.llama.executor import LlamaExecutor
from homeport.engines.text.grammar.compiler import LlguidanceCompiler
from tests.engines.text.fake_executor import FakeExecutor
from tests.engines.text.simulation import traits


@pytest.fixture
def compiler() -> Iterator[LlguidanceCompiler]:
    """Compiles for bytes and the fake executor's control tokens."""
    compiler = LlguidanceCompiler(FakeExecutor(traits()))
    yield compiler
    compiler.close()


@pytest.fixture(scope="module")
def real_compiler(small: LlamaExecutor) -> Iterator[LlguidanceCompiler]:
    """Compiles for the smallest model's vocabulary."""
    compiler = LlguidanceCompiler(small)
    yield compiler
    compiler.close()
