"""The manifest of a cluster on Kubernetes: what its objects say of each other."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest
import yaml

from homeport.cluster.kubernetes import access, gateways, ray_service
from homeport.cluster.kubernetes.manifest import render
from homeport.cluster.kubernetes.plan import ManifestPlan
from homeport.domain.clusters import ManifestOptions
from homeport.domain.errors import InvalidRequest

OPTIONS = ManifestOptions(image="registry.local/homeport:1", namespace="team", workers=2, gpu_workers=1, gpus=2)
PLAN = ManifestPlan(options=OPTIONS, node_models="module:function", first_port=9000, drain_s=40.5, models=("small",))

Found = Mapping[tuple[str, str], Any]


def objects(plan: ManifestPlan = PLAN) -> Found:
    """Return the objects of a manifest, by kind and name."""
    documents = [document for document in yaml.safe_load_all(render(plan)) if document]
    found = {(each["kind"], each["metadata"]["name"]): each for each in documents}
    assert len(found) == len(documents)
    return found


def pods(found: Found) -> Iterator[Any]:
    """Yield the templates of all Pods."""
    yield found["Deployment", "homeport-gateway"]["spec"]["template"]
    cluster = found["RayService", "homeport"]["spec"]["rayClusterConfig"]
    yield cluster["headGroupSpec"]["template"]
    for group in cluster["workerGroupSpecs"]:
        yield group["template"]


def containers(found: Found) -> Iterator[Any]:
    """Yield all containers."""
    for pod in pods(found):
        yield from pod["spec"].get("initContainers", [])
        yield from pod["spec"]["containers"]


def env(container: Any) -> dict[str, Any]:
    """Return the variables of a container: their values, or where these come from."""
    return {each["name"]: each.get("value") or each["valueFrom"] for each in container["env"]}


def test_all_objects_are_in_the_namespace() -> None:
    """Every object is in the namespace that was asked for, and every container runs the image."""
    found = objects()
    assert {each["metadata"]["namespace"] for each in found.values()} == {"team"}
    assert {each["image"] for each in containers(found)} == {"registry.local/homeport:1"}


def test_placeholders_are_no_base64() -> None:
    """Without a token file no Secret can be created before its values are replaced."""
    secrets = [each for (kind, _), each in objects().items() if kind == "Secret"]
    assert len(secrets) == 3
    for secret in secrets:
        assert "stringData" not in secret
        assert set(secret["data"].values()) == {access.PLACEHOLDER}
    assert "-" in access.PLACEHOLDER  # no character of base64


def test_token_is_written() -> None:
    """With the token, the Secret holds it, and nothing else of the manifest does."""
    text = render(msgspec.structs.replace(PLAN, token="t0ken"))
    assert text.count("t0ken") == 1
    assert objects(msgspec.structs.replace(PLAN, token="t0ken"))["Secret", "homeport-token"]["stringData"] == {
        "auth_token": "t0ken"
    }


def test_nodes_require_the_token() -> None:
    """KubeRay and each node read the token from the Secret, and Ray checks it."""
    found = objects()
    cluster = found["RayService", "homeport"]["spec"]["rayClusterConfig"]
    assert cluster["authOptions"] == {"mode": "token", "secretName": "homeport-token"}
    source = {"secretKeyRef": {"name": "homeport-token", "key": "auth_token"}}
    nodes = [each for each in containers(found) if each["name"].startswith("ray-")]
    assert [each["name"] for each in nodes] == ["ray-head", "ray-worker", "ray-worker"]
    for node in nodes:
        assert env(node)["RAY_AUTH_MODE"] == "token"
        assert env(node)["RAY_AUTH_TOKEN"] == source
        assert env(node)["RAY_USAGE_STATS_ENABLED"] == "0"
        assert "RAY_AUTH_TOKEN_PATH" not in env(node)


def test_ports_are_fixed() -> None:
    """No port of Ray is left to chance: they are those of a node anywhere, from the first port on."""
    cluster = objects()["RayService", "homeport"]["spec"]["rayClusterConfig"]
    head, workers = cluster["headGroupSpec"], cluster["workerGroupSpecs"]
    expected = {
        "node-manager-port": "9001",
        "object-manager-port": "9002",
        "dashboard-agent-grpc-port": "9003",
        "dashboard-agent-listen-port": "9004",
        "metrics-export-port": "9005",
        "runtime-env-agent-port": "9006",
        "min-worker-port": "9020",
        "max-worker-port": "9079",
    }
    assert head["rayStartParams"].items() >= {**expected, "port": "9000", "num-cpus": "0"}.items()
    for group in workers:
        assert group["rayStartParams"].items() >= expected.items()
        assert "port" not in group["rayStartParams"]
    for pod in list(pods(objects()))[1:]:
        probe = pod["spec"]["containers"][0]["readinessProbe"]
        assert probe["httpGet"] == {"path": "/api/healthz", "port": 9004}


def test_worker_groups() -> None:
    """There is a group of workers for each kind that was asked for, with its own resources."""
    groups = objects()["RayService", "homeport"]["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    assert [(each["groupName"], each["replicas"]) for each in groups] == [("cpu", 2), ("gpu", 1)]
    without, with_gpus = [each["template"]["spec"]["containers"][0]["resources"] for each in groups]
    assert "nvidia.com/gpu" not in without["limits"]
    assert with_gpus["limits"]["nvidia.com/gpu"] == "2"
    only = msgspec.structs.replace(OPTIONS, workers=0)
    found = objects(msgspec.structs.replace(PLAN, options=only))
    assert [
        each["groupName"] for each in found["RayService", "homeport"]["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    ] == ["gpu"]


def test_application_starts_the_controller() -> None:
    """The one application gets the place of the state, on the head's volume, and names how nodes find models."""
    found = objects()
    (application,) = yaml.safe_load(found["RayService", "homeport"]["spec"]["serveConfigV2"])["applications"]
    assert application["args"] == {"state_file": "/data/cluster/controller.json", "node_models": "module:function"}
    head = list(pods(found))[1]["spec"]
    (volume,) = head["volumes"]
    assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in found
    assert head["containers"][0]["volumeMounts"] == [{"name": volume["name"], "mountPath": "/data"}]


def test_gateway_waits_for_its_node() -> None:
    """A gateway's Pod joins the cluster before its server starts, has nothing for models, and starts with them."""
    spec = objects()["Deployment", "homeport-gateway"]["spec"]["template"]["spec"]
    database, node = spec["initContainers"]
    (server,) = spec["containers"]
    assert database["command"] == ["homeport", "db", "upgrade"]
    assert node["restartPolicy"] == "Always"
    assert node["command"][:4] == ["homeport", "cluster", "join", "homeport-head-svc.team.svc:9000"]
    assert node["command"][-4:] == ["--cpus", "0", "--gpus", "0"]
    assert env(server)["HOMEPORT_CLUSTER"] == node["command"][3]
    assert server["command"][-2:] == ["--model", "small"]
    assert server["readinessProbe"]["httpGet"]["path"] == "/health/ready"


def test_gateway_may_drain() -> None:
    """A gateway's Pod is not killed before its requests may have finished."""
    spec = objects()["Deployment", "homeport-gateway"]["spec"]["template"]["spec"]
    assert float(env(spec["containers"][0])["HOMEPORT_DRAIN_S"]) >= PLAN.drain_s
    pause_s = int(spec["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
    assert spec["terminationGracePeriodSeconds"] >= pause_s + PLAN.drain_s + 10


def test_gateway_reads_its_secrets() -> None:
    """The server gets the database, the bucket and keys as variables, and the secret of keys as a file of its home."""
    found = objects()
    (server,) = found["Deployment", "homeport-gateway"]["spec"]["template"]["spec"]["containers"]
    assert server["envFrom"] == [{"secretRef": {"name": "homeport-gateway"}}]
    assert found["Secret", "homeport-gateway"]["data"].keys() >= {"HOMEPORT_DATABASE_URL", "HOMEPORT_BLOBS"}
    assert {"name": "keys", "mountPath": "/data/key-secret", "subPath": "key-secret", "readOnly": True} in server[
        "volumeMounts"
    ]
    assert found["Secret", "homeport-keys"]["data"].keys() == {gateways.KEY_FILE}


def test_selectors_match_pods() -> None:
    """The Service, each budget and each policy select the Pods that they are for, and no others."""
    found = objects()
    kinds = {"gateway": 1, "head": 1, "worker": 2}

    def selected(labels: Mapping[str, str]) -> dict[str, int]:
        chosen: dict[str, int] = {}
        for pod in pods(found):
            own = pod["metadata"]["labels"]
            if own.items() >= labels.items():
                name = own["app.kubernetes.io/component"]
                chosen[name] = chosen.get(name, 0) + 1
        return chosen

    assert selected(found["Service", "homeport"]["spec"]["selector"]) == {"gateway": 1}
    for kind, name, expected in (
        ("PodDisruptionBudget", "homeport-gateway", {"gateway": 1}),
        ("PodDisruptionBudget", "homeport-worker", {"worker": 2}),
    ):
        assert selected(found[kind, name]["spec"]["selector"]["matchLabels"]) == expected
    policy = found["NetworkPolicy", "homeport-cluster"]["spec"]
    assert selected(policy["podSelector"]["matchLabels"]) == kinds
    assert selected(policy["ingress"][0]["from"][0]["podSelector"]["matchLabels"]) == kinds
    assert selected(found["NetworkPolicy", "homeport-gateway"]["spec"]["podSelector"]["matchLabels"]) == {"gateway": 1}


def test_policies_close_the_ports() -> None:
    """Other Pods reach the API of gateways only; KubeRay also reaches Ray's dashboard."""
    found = objects()
    _, operator = found["NetworkPolicy", "homeport-cluster"]["spec"]["ingress"]
    assert [each["port"] for each in operator["ports"]] == [ray_service.DASHBOARD_PORT]
    assert found["NetworkPolicy", "homeport-gateway"]["spec"]["ingress"] == [
        {"ports": [{"protocol": "TCP", "port": 8080}]}
    ]


def test_one_worker_may_be_moved() -> None:
    """A budget leaves all workers but one; a single worker has none, since it could never be moved."""
    assert objects()["PodDisruptionBudget", "homeport-worker"]["spec"]["minAvailable"] == 2
    single = msgspec.structs.replace(PLAN, options=msgspec.structs.replace(OPTIONS, workers=1, gpu_workers=0))
    assert ("PodDisruptionBudget", "homeport-worker") not in objects(single)


def test_no_container_is_privileged() -> None:
    """No Pod runs as root or gets a token of Kubernetes, and no container can gain rights."""
    found = objects()
    for pod in pods(found):
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert pod["spec"]["automountServiceAccountToken"] is False
    for container in containers(found):
        assert container["securityContext"]["allowPrivilegeEscalation"] is False


@pytest.mark.parametrize(
    ("values", "param"),
    [
        ({"namespace": "Team"}, "namespace"),
        ({"namespace": "a" * 64}, "namespace"),
        ({"image": "two words"}, "image"),
        ({"image": ""}, "image"),
        ({"gateways": 0}, "gateways"),
        ({"workers": 1001}, "workers"),
        ({"workers": 0}, "workers"),
        ({"cpus": 0}, "cpus"),
        ({"memory_bytes": 10**9}, "memory"),
    ],
)
def test_options_that_kubernetes_would_refuse(values: dict[str, Any], param: str) -> None:
    """A name or number that cannot work is refused by name."""
    with pytest.raises(InvalidRequest) as caught:
        ManifestOptions(**{"image": "i", **values})
    assert caught.value.param == param
