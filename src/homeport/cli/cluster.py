"""`cluster` and `scale`: this machine's node of a cluster, the state of all nodes, and the replicas of models."""

from typing import Any

import click

from homeport import __version__
from homeport.cli.options import SettingsCommand, application
from homeport.cli.output import echo, human_size, json_flag, print_json, print_table
from homeport.domain import setting_parsers
from homeport.domain.clusters import ClusterReport, ManifestOptions, NodeOptions, RunningNode, ScalingLimits
from homeport.settings import Settings

_NODE_SETTINGS = ("home", "cluster_token_file", "cluster_ports")
_MANIFEST_SETTINGS = ("cluster_token_file", "cluster_ports", "drain_s", "models")
_CLIENT_SETTINGS = ("home", "cluster", "cluster_token_file")


@click.group("cluster")
def cluster() -> None:
    """Run models on several machines. Needs the extra `cluster` on each.

    A caller who has the cluster's token and reaches its ports can run programs on its machines: use a private network.
    """


def _parse_size(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    try:
        return setting_parsers.parse_size(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


_cpus = click.option(
    "--cpus", type=click.IntRange(0), metavar="N", help="Most replicas without a GPU; default: one for each core."
)
_gpus = click.option("--gpus", type=click.IntRange(0), metavar="N", help="GPUs to use; default: all.")
_memory = click.option("--memory", callback=_parse_size, metavar="SIZE", help="Memory for models; default: 70 percent.")


@cluster.command(cls=SettingsCommand, settings=_NODE_SETTINGS)
@click.option("--host", required=True, help="Address of this machine that the others reach.")
@_cpus
@_gpus
@_memory
@click.pass_context
def start(
    context: click.Context, settings: Settings, host: str, cpus: int | None, gpus: int | None, memory: int | None
) -> None:
    """Start a cluster: run its head on this machine until SIGTERM or Ctrl-C. A token is created if there is none."""
    options = NodeOptions(host=host, cpus=cpus, gpus=gpus, memory_bytes=memory)
    application(context).clusters.run_node(settings, options, _print_node)


@cluster.command(cls=SettingsCommand, settings=_NODE_SETTINGS)
@click.argument("address")
@click.option("--host", help="Address of this machine that the others reach; default: that of its route to the head.")
@_cpus
@_gpus
@_memory
@click.pass_context
def join(
    context: click.Context,
    /,
    settings: Settings,
    address: str,
    host: str | None,
    cpus: int | None,
    gpus: int | None,
    memory: int | None,
) -> None:
    """Run a node of the cluster whose head is at ADDRESS on this machine, until SIGTERM or Ctrl-C.

    It needs the head's token: its file, or the variable HOMEPORT_CLUSTER_TOKEN.
    """
    options = NodeOptions(head=address, host=host, cpus=cpus, gpus=gpus, memory_bytes=memory)
    application(context).clusters.run_node(settings, options, _print_node)


@cluster.command(cls=SettingsCommand, settings=_CLIENT_SETTINGS)
@json_flag
@click.pass_context
def status(context: click.Context, settings: Settings, is_json: bool) -> None:
    """List the nodes of the cluster and the replicas on them."""
    report = application(context).clusters.read_status(settings)
    if is_json:
        print_json(report)
    else:
        _print_status(report)


@cluster.command(cls=SettingsCommand, settings=_CLIENT_SETTINGS)
@click.argument("node")
@click.pass_context
def drain(context: click.Context, settings: Settings, node: str) -> None:
    """Drain NODE: an address or a name that `status` prints.

    Its replicas finish their requests and move to other nodes. Then the node leaves, and its command ends.
    """
    application(context).clusters.drain_node(settings, node)
    echo(f"{node} takes no new requests; it leaves when its replicas have moved")


_count = click.IntRange(0)


@cluster.command(cls=SettingsCommand, settings=_MANIFEST_SETTINGS)
@click.option("--image", default=f"homeport:{__version__}", show_default=True, help="Image of all Pods.")
@click.option("--namespace", default="homeport", show_default=True, metavar="NAME", help="Namespace of all objects.")
@click.option("--gateways", type=_count, default=2, show_default=True, metavar="N", help="Pods that serve the API.")
@click.option("--workers", type=_count, default=2, show_default=True, metavar="N", help="Pods for models, without GPU.")
@click.option(
    "--gpu-workers", type=_count, default=0, show_default=True, metavar="N", help="Pods for models, with GPU."
)
@click.option("--cpus", type=_count, default=4, show_default=True, metavar="N", help="Cores of each worker Pod.")
@click.option("--memory", callback=_parse_size, default="16GB", show_default=True, metavar="SIZE", help="Its memory.")
@click.option(
    "--gpus", type=_count, default=1, show_default=True, metavar="N", help="GPUs of a worker Pod that has any."
)
@click.pass_context
def manifest(context: click.Context, /, settings: Settings, **options: Any) -> None:
    """Print a manifest for Kubernetes: a RayService, gateways, and what protects them. Needs no cluster.

    With --token-file it holds the cluster's token, else a placeholder. See docs/cluster.md.
    """
    wanted = ManifestOptions(memory_bytes=options.pop("memory"), **options)
    echo(application(context).clusters.render_manifest(settings, wanted), nl=False)


@click.command(cls=SettingsCommand, settings=_CLIENT_SETTINGS)
@click.argument("model")
@click.option("--min", "min_replicas", type=int, default=0, show_default=True, metavar="N", help="Replicas at least.")
@click.option("--max", "max_replicas", type=int, default=1, show_default=True, metavar="N", help="Replicas at most.")
@click.option("--gpus", type=int, default=0, show_default=True, metavar="N", help="GPUs of each replica.")
@click.pass_context
def scale(
    context: click.Context, settings: Settings, model: str, min_replicas: int, max_replicas: int, gpus: int
) -> None:
    """Set how many replicas of MODEL the cluster runs. Between the limits it follows the requests."""
    limits = ScalingLimits(min_replicas=min_replicas, max_replicas=max_replicas, gpus=gpus)
    application(context).clusters.scale_model(settings, model, limits)
    echo(f"{model}: {min_replicas} to {max_replicas} replicas")


def _print_node(node: RunningNode) -> None:
    if not node.is_head:
        echo(f"{node.host} is a node of the cluster at {node.cluster}")
        return
    echo(f"The cluster's head runs at {node.cluster}\n")
    echo("  on another machine, with a copy of the token file:")
    echo(f"    homeport cluster join {node.cluster} --token-file FILE")
    echo("  to serve the API, on any machine of the cluster:")
    echo(f"    homeport serve --cluster {node.cluster}\n")
    echo(f"  token    {node.token_file}")


def _print_status(report: ClusterReport) -> None:
    rows = [
        (
            node.address,
            node.name,
            "head" if node.is_head else "node",
            node.state,
            f"{node.cpus:g}",
            f"{node.gpus:g}",
            human_size(node.memory_bytes),
        )
        for node in report.nodes
    ]
    print_table(("ADDRESS", "NAME", "ROLE", "STATE", "CPUS", "GPUS", "MEMORY"), rows)
    if report.replicas:
        echo()
        replicas = sorted(report.replicas, key=lambda each: (each.node, each.model))
        print_table(
            ("NODE", "MODEL", "REPLICA", "STATE", "RUNNING"),
            [(each.node, each.model, each.replica, each.state, str(each.running)) for each in replicas],
        )
    for model, limits in report.limits.items():
        echo(f"\n{model}: {limits.min_replicas} to {limits.max_replicas} replicas")
        if reason := report.failures.get(model):
            echo(f"  none can start: {reason}")
