"""Servers that the system tests of one run share, with the small model and with the default one."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import openai
import pytest

from homeport import settings
from homeport.engines.text.executors.llama.executor import LlamaExecutor, LlamaOptions, load
from homeport.models.kernels import find_installed_kernels
from homeport.models.model_store import ModelStore
from tests.engines.shapes.tiny_pair import install_pair
from tests.system import cluster as system_cluster
from tests.system.reasoning_model import install_reasoning_model
from tests.system.server import ServerProcess, Tokenise, running
from tests.system.tiny_diffusion import install_tiny_model
from tests.tool_server import ToolServer, tool_server_in_thread


@pytest.fixture(scope="session", autouse=True)
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """With `--cluster`: three nodes on this machine, which run the models of all servers of the session."""
    if request.config.getoption("--cluster"):
        if not system_cluster.is_possible():
            pytest.fail("`--cluster` needs Ray: run `make cluster-test`, or pytest in .venv-cluster")
        with system_cluster.started(tmp_path_factory.mktemp("cluster")):
            yield
    else:
        yield


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> Iterator[ServerProcess]:
    """A server with the small model under every OpenAI name.

    Without kept prefixes, and with one kind of kernels for prompts from the first on, equal requests take equal steps.
    """
    assert smollm2.exists()
    log = tmp_path_factory.mktemp("server") / "log"
    with running(log, "--model", "smollm2-135m", RETAIN="0", PROMPTS="off") as started:
        yield started


@pytest.fixture(scope="session")
def default_server(tmp_path_factory: pytest.TempPathFactory, qwen: Path) -> Iterator[ServerProcess]:
    """A server as `make serve` starts it, with the default model. The extra [prompts] is off, as in a base install."""
    assert qwen.exists()
    log = tmp_path_factory.mktemp("default_server") / "log"
    with running(log, PROMPTS="off") as started:
        yield started


@pytest.fixture(scope="session")
def image_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server for images and shapes, with tiny models in a home of its own."""
    folder = tmp_path_factory.mktemp("image_server")
    install_tiny_model(folder / "home")
    install_pair(folder / "home")
    with running(folder / "log", HOME=str(folder / "home"), THREADS="1") as started:
        yield started


@pytest.fixture(scope="session")
def tools() -> Iterator[ToolServer]:
    """An MCP server."""
    with tool_server_in_thread() as started:
        yield started


@pytest.fixture(scope="session")
def mcp_server(tools: ToolServer, tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> Iterator[ServerProcess]:
    """A server with the small model that may reach the MCP server."""
    assert smollm2.exists()
    log = tmp_path_factory.mktemp("mcp_server") / "log"
    with running(log, "--model", "smollm2-135m", MCP_HOSTS=urlsplit(tools.url).netloc) as started:
        yield started


@pytest.fixture(scope="session")
def reasoning_server(tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> Iterator[ServerProcess]:
    """A server with a model whose template has a reasoning switch, in a home of its own."""
    folder = tmp_path_factory.mktemp("reasoning_server")
    install_reasoning_model(folder / "home", smollm2)
    with running(folder / "log", HOME=str(folder / "home")) as started:
        yield started


@pytest.fixture(scope="session")
def drawing_server(tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> Iterator[ServerProcess]:
    """A server with the small model and a tiny image model, in a home of its own."""
    folder = tmp_path_factory.mktemp("drawing_server")
    install_tiny_model(folder / "home")
    (ModelStore(folder / "home").folder(smollm2.parent.name)).symlink_to(smollm2.parent, target_is_directory=True)
    with running(folder / "log", HOME=str(folder / "home"), THREADS="1") as started:
        yield started


@pytest.fixture(scope="session")
def fine_tuning_server(tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> Iterator[ServerProcess]:
    """A server that accepts fine-tuning jobs and trains none: its stand-in for PyTorch fails when it is imported.

    So jobs end at once, and tests see their descriptions without PyTorch and without waiting.
    """
    assert smollm2.exists()
    folder = tmp_path_factory.mktemp("fine_tuning_server")
    (folder / "torch").mkdir()
    (folder / "torch" / "__init__.py").write_text("raise ImportError\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        with running(folder / "log", "--model", "smollm2-135m", MAX_TUNING_QUEUE="1000") as started:
            yield started


@pytest.fixture
def client(server: ServerProcess) -> Iterator[openai.OpenAI]:
    """The current official client, connected to the small model's server; it does not retry."""
    with openai.OpenAI(base_url=server.base, api_key="sk-test", max_retries=0, timeout=120) as made:
        yield made


@pytest.fixture(scope="session")
def executor(smollm2: Path) -> Iterator[LlamaExecutor]:
    """The small model's weights without a server, on the kernels that servers use: the reference."""
    library = find_installed_kernels(settings.load().home)
    made = load(smollm2, LlamaOptions(window=2048, cells=2048, sequences=2, batch=512, threads=1, library=library))
    yield made
    made.close()


@pytest.fixture(scope="session")
def tokenise(executor: LlamaExecutor) -> Tokenise:
    """The small model's own token ids of a text."""
    return lambda text: executor.tokenize(text, special=False)
