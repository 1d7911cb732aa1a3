"""`cluster` and `scale`: their calls and their output."""

import json

import pytest
from click.testing import CliRunner, Result

from homeport import __version__
from homeport.cli import commands
from homeport.domain.clusters import ManifestOptions, NodeOptions, ScalingLimits
from tests.cli.fake_application import FakeApplication


@pytest.fixture
def program() -> FakeApplication:
    """What the commands call."""
    return FakeApplication()


def run(program: object, *arguments: str) -> Result:
    """Run a command."""
    return CliRunner().invoke(commands, list(arguments), obj=program)


def test_start_passes_every_flag_on(program: FakeApplication) -> None:
    """`cluster start` runs a head, and says how another machine joins and where the token is."""
    flags = ["--host", "10.0.0.5", "--cpus", "4", "--gpus", "1", "--memory", "8GB", "--cluster-ports", "9000"]
    result = run(program, "cluster", "start", *flags)
    assert result.exit_code == 0, result.output
    options = NodeOptions(host="10.0.0.5", cpus=4, gpus=1, memory_bytes=8_000_000_000)
    assert program.calls == [("run_node", options)]
    assert program.settings is not None
    assert program.settings.cluster_ports == 9000
    assert "homeport cluster join 10.0.0.5:7380 --token-file FILE\n" in result.stdout
    assert "homeport serve --cluster 10.0.0.5:7380\n" in result.stdout
    assert "/home/token" in result.stdout


def test_start_needs_an_address(program: FakeApplication) -> None:
    """The head's address is never guessed; a wrong size is a usage error."""
    assert run(program, "cluster", "start").exit_code == 2
    assert run(program, "cluster", "start", "--host", "10.0.0.5", "--memory", "much").exit_code == 2
    assert program.calls == []


def test_join_names_the_head(program: FakeApplication) -> None:
    """`cluster join ADDRESS` runs a node of that cluster."""
    result = run(program, "cluster", "join", "10.0.0.5:7380", "--token-file", "/t")
    assert result.stdout == "10.0.0.5 is a node of the cluster at 10.0.0.5:7380\n"
    assert program.calls == [("run_node", NodeOptions(head="10.0.0.5:7380"))]
    assert program.settings is not None
    assert str(program.settings.cluster_token_file) == "/t"


def test_status_lists_nodes_and_replicas(program: FakeApplication) -> None:
    """`cluster status` shows each node's sizes and state, each replica's requests, and why a model has none."""
    lines = [" ".join(line.split()) for line in run(program, "cluster", "status").stdout.splitlines()]
    assert "10.0.0.5 one head alive 8 0 8.6 GB" in lines
    assert "10.0.0.6 two node draining 8 1 17 GB" in lines
    assert "10.0.0.6 small small-1 ready 3" in lines
    assert "small: 1 to 4 replicas" in lines
    assert "none can start: No node of the cluster is large enough for big." in lines


def test_status_as_json(program: FakeApplication) -> None:
    """`cluster status --json` prints everything for programs."""
    report = json.loads(run(program, "cluster", "status", "--json").stdout)
    assert [node["address"] for node in report["nodes"]] == ["10.0.0.5", "10.0.0.6"]
    assert report["replicas"][0]["running"] == 3


def test_drain(program: FakeApplication) -> None:
    """`cluster drain NODE` names the node."""
    assert "10.0.0.6" in run(program, "cluster", "drain", "10.0.0.6").stdout
    assert program.calls == [("drain_node", "10.0.0.6")]


def test_scale(program: FakeApplication) -> None:
    """`scale` sets limits; limits that contradict each other are refused before anything is called."""
    result = run(program, "scale", "small", "--min", "1", "--max", "4", "--gpus", "1")
    assert result.stdout == "small: 1 to 4 replicas\n"
    limits = ScalingLimits(min_replicas=1, max_replicas=4, gpus=1)
    assert program.calls == [("scale_model", ("small", limits))]
    result = run(program, "scale", "small", "--min", "4", "--max", "1")
    assert result.exit_code == 1
    assert "min (4) must not be above max (1)" in result.output
    assert len(program.calls) == 1


def test_manifest_passes_every_flag_on(program: FakeApplication) -> None:
    """`cluster manifest` prints the manifest that its flags and settings describe, and nothing else."""
    flags = ["--image", "i:1", "--namespace", "n", "--gateways", "3", "--workers", "0", "--gpu-workers", "4"]
    flags += ["--cpus", "8", "--memory", "32GB", "--gpus", "2", "--token-file", "/t", "--model", "small"]
    result = run(program, "cluster", "manifest", *flags)
    assert result.output == "kind: List\n"
    options = ManifestOptions(
        image="i:1", namespace="n", gateways=3, workers=0, gpu_workers=4, cpus=8, memory_bytes=32_000_000_000, gpus=2
    )
    assert program.calls == [("render_manifest", options)]
    assert program.settings is not None
    assert program.settings.models == ("small",)


def test_manifest_has_defaults(program: FakeApplication) -> None:
    """`cluster manifest` needs no flag; the image has this program's version."""
    assert run(program, "cluster", "manifest").exit_code == 0
    ((_, options),) = program.calls
    assert isinstance(options, ManifestOptions)
    assert options.image == f"homeport:{__version__}"


def test_manifest_refuses_contradictions(program: FakeApplication) -> None:
    """`cluster manifest` says which flag cannot work."""
    result = run(program, "cluster", "manifest", "--workers", "0")
    assert result.exit_code == 1
    assert "needs a worker" in result.output
