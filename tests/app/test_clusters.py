"""Nodes and gateways of a cluster as the settings say, without Ray."""

import importlib.util
import stat
import sys
from pathlib import Path

import msgspec
import pytest

from homeport import settings as configuration
from homeport.app import clusters
from homeport.app.cluster_models import SettingsNodeModels, describe_model
from homeport.cluster.ray.environment import create_token, find_token, require_ray
from homeport.cluster.ray.nodes import NodePlan, node_arguments, session_folder, split_address
from homeport.domain.clusters import NodeOptions
from homeport.domain.errors import ExtraNotInstalled, InvalidRequest, Unavailable
from homeport.domain.models import ModelFacts
from homeport.models.manifest import Manifest, StoredFile
from homeport.models.model_store import ModelStore
from homeport.settings import Settings

DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"  # of `test`


def plan(home: Path, **values: object) -> NodePlan:
    """Return how a node runs."""
    return msgspec.structs.replace(NodePlan(home=home, host="10.0.0.6", first_port=7380, token_file=home), **values)


def install(home: Path) -> ModelStore:
    """Install a model of one small file."""
    store = ModelStore(home)
    folder = store.folder("m")
    folder.mkdir(parents=True)
    (folder / "weights.gguf").write_text("test")
    store.commit(
        Manifest(ModelFacts("m", "text", "text"), "file", None, (StoredFile("weights.gguf", "weights", 4, DIGEST),))
    )
    return store


def test_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Ray, commands name the extra to install; on Windows, they say that clusters do not run there."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ExtraNotInstalled, match=r"pip install 'homeport\[cluster\]'"):
        require_ray()
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(Unavailable, match="Windows"):
        require_ray()


def test_token_is_created_once(tmp_path: Path) -> None:
    """A new token is random, in a file that only its user reads, and stays the same."""
    file = create_token(tmp_path)
    token = file.read_text()
    assert len(token) == 64
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert create_token(tmp_path).read_text() == token
    assert create_token(tmp_path / "other").read_text() != token


def test_token_of_the_environment_is_written(tmp_path: Path) -> None:
    """A token from the environment is written to a file that only its user reads, since Ray reads a file."""
    file = find_token(tmp_path, "secret", None)
    assert file.read_text() == "secret"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_unusable_token_files(tmp_path: Path) -> None:
    """A missing token file, an empty one, and one that others may read are refused by name."""
    with pytest.raises(InvalidRequest, match="cannot be read"):
        find_token(tmp_path, None, None)
    file = tmp_path / "token"
    file.touch(0o600)
    with pytest.raises(InvalidRequest, match="is empty"):
        find_token(tmp_path, None, file)
    file.write_text("secret")
    file.chmod(0o640)
    with pytest.raises(InvalidRequest, match="chmod 600"):
        find_token(tmp_path, None, file)


def test_no_port_is_left_to_ray(tmp_path: Path) -> None:
    """A node's ports are fixed and distinct; the token and the usage report are no arguments."""
    arguments = node_arguments(plan(tmp_path, head="10.0.0.5:7380", cpus=2), tmp_path)
    ports = [int(each.partition("=")[2]) for each in arguments if "port=" in each]
    assert sorted(ports) == [7381, 7382, 7383, 7384, 7385, 7386, 7400, 7459]
    assert "--address=10.0.0.5:7380" in arguments
    assert "--node-ip-address=10.0.0.6" in arguments
    assert "--num-cpus=2" in arguments
    assert "--head" not in arguments
    assert {"--head", "--port=7380"} <= {*node_arguments(plan(tmp_path), tmp_path)}


@pytest.mark.parametrize("address", ["", "10.0.0.5", "10.0.0.5:", ":7380", "10.0.0.5:0", "10.0.0.5:99999", "host:port"])
def test_invalid_addresses(address: str) -> None:
    """What is not `host:port` is refused with an example."""
    with pytest.raises(InvalidRequest, match=r"such as 10\.0\.0\.5:7380"):
        split_address(address)


def test_session_folder_fits_a_socket(tmp_path: Path) -> None:
    """Ray's folder is private, and short enough for the paths of its sockets."""
    folder = session_folder(tmp_path / ("long" * 20))
    assert len(str(folder)) <= 43
    folder.chmod(0o777)  # as Ray does
    assert session_folder(tmp_path / ("long" * 20)) == folder
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    folder.rmdir()
    folder.parent.rmdir()


def test_node_variables_hold_no_secret(tmp_path: Path) -> None:
    """The processes of a node get this node's settings, and no keys, tokens or passwords."""
    environ = {
        "HOMEPORT_API_KEYS": "sk-1",
        "HOMEPORT_CLUSTER_TOKEN": "t",
        "HOMEPORT_DATABASE_URL": "postgresql://u:p@h/d",
        "HOMEPORT_SLOTS": "3",
        "PATH": "/bin",
    }
    config = tmp_path / "settings.yaml"
    config.write_text("threads: 2\n")
    loaded = configuration.load({"home": str(tmp_path), "cluster_ports": 9000}, environ, config)
    variables = clusters.node_environment(loaded, environ)
    assert variables == {
        "PATH": "/bin",
        "HOMEPORT_SLOTS": "3",
        "HOMEPORT_HOME": str(tmp_path),
        "HOMEPORT_CLUSTER_PORTS": "9000",
        "HOMEPORT_CONFIG": str(config),
    }
    again = configuration.load({}, variables)
    assert (again.home, again.slots, again.threads, again.cluster_ports) == (tmp_path, 3, 2, 9000)


def test_head_needs_its_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A head without an address of its own is refused before anything starts."""
    monkeypatch.setattr(clusters, "require_ray", lambda: None)
    with pytest.raises(InvalidRequest, match="--host"):
        clusters.run_node(Settings(home=tmp_path), NodeOptions(), lambda _: None)
    assert [*tmp_path.iterdir()] == []


def test_commands_need_a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a node in this home and without an address, commands ask for one."""
    monkeypatch.setattr(clusters, "require_ray", lambda: None)
    with pytest.raises(InvalidRequest, match="--cluster"):
        clusters.read_status(Settings(home=tmp_path))


def test_model_reaches_another_home(tmp_path: Path) -> None:
    """A node that gets a described model's files serves the same digest as the gateway, under the node's own paths."""
    store = install(tmp_path / "gateway")
    model = store.find("m")
    assert model is not None
    description, paths = describe_model(store, model)
    assert paths == {DIGEST: str(model.files["weights"])}
    node = SettingsNodeModels(Settings(home=tmp_path / "node"))
    assert node.find(description) is None
    folder = node.folder(description)
    (folder / description.files[0].name).write_text("test")
    installed = node.install(description)
    assert installed == node.find(description)
    assert installed.digest == model.digest
    launch = node.launch_message(installed, {"needed": installed})
    assert launch.spec.paths == {
        "weights": folder / "weights.gguf",
        "needed/weights": folder / "weights.gguf",
    }


def test_node_uses_its_own_model(tmp_path: Path) -> None:
    """A node that has installed the model uses that one; one with other files of the same name does not."""
    store = install(tmp_path)
    model = store.find("m")
    assert model is not None
    description, _ = describe_model(store, model)
    node = SettingsNodeModels(Settings(home=tmp_path))
    assert node.find(description) == model
    assert node.find(msgspec.structs.replace(description, digest="0" * 64)) is None
