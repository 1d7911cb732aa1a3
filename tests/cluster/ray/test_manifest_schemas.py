"""The manifest for Kubernetes against the schemas of Kubernetes and of Ray, and its application on a real cluster."""

import importlib
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from homeport.cluster.kubernetes import ray_service
from homeport.cluster.kubernetes.manifest import describe_objects
from homeport.cluster.kubernetes.plan import ManifestPlan
from homeport.domain.clusters import ManifestOptions
from tests.serving.conftest import until

if TYPE_CHECKING:
    from tests.cluster.ray.local_cluster import LocalCluster

# All need the cluster: Ray reads its token when it is imported, and the fixture sets that before.
pytestmark = [pytest.mark.alone, pytest.mark.usefixtures("cluster")]

KUBERNETES = "1.37"
LIMIT_S = 60.0


def plan(**options: Any) -> ManifestPlan:
    """Return the plan of a manifest."""
    return ManifestPlan(
        options=ManifestOptions(image="homeport:1", **options),
        node_models="tests.cluster.ray.scripted_node:node_models",
        first_port=7380,
        drain_s=30.0,
        models=("small",),
    )


@pytest.mark.parametrize("options", [{}, {"gpu_workers": 2, "gpus": 4}, {"workers": 1, "gateways": 1}])
def test_kubernetes_schemas(options: dict[str, Any]) -> None:
    """Kubernetes' strict schemas accept every object of its own, and the Pods of the RayService."""
    import kubernetes_validate

    checked = []
    for _, each in describe_objects(plan(**options)):
        if each["kind"] == "RayService":
            cluster = each["spec"]["rayClusterConfig"]
            templates = [group["template"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]
            pods = [
                {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "pod"}, "template": template}
                for template in templates
            ]
            for pod in pods:
                kubernetes_validate.validate(pod, KUBERNETES, strict=True)
        else:
            kubernetes_validate.validate(each, KUBERNETES, strict=True)
            checked.append(each["kind"])
    assert {"Secret", "Deployment", "Service", "NetworkPolicy", "PodDisruptionBudget"} <= set(checked)


def test_kubernetes_schemas_are_strict() -> None:
    """A field that Kubernetes does not have is found, so that a typing error is."""
    import kubernetes_validate

    service = next(each for _, each in describe_objects(plan()) if each["kind"] == "Service")
    service["spec"]["selectors"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="selectors"):
        kubernetes_validate.validate(service, KUBERNETES, strict=True)


def test_serve_schema() -> None:
    """Ray's own class accepts what KubeRay shall deploy, without a field that it would ignore."""
    from ray.serve.schema import ServeDeploySchema

    config = yaml.safe_load(ray_service.serve_config(plan()))
    accepted = ServeDeploySchema.model_validate(config)
    (application,) = accepted.applications
    assert application.route_prefix is None
    assert accepted.proxy_location.value == "Disabled"
    assert config.keys() <= ServeDeploySchema.model_fields.keys()
    assert config["applications"][0].keys() <= type(application).model_fields.keys()


def test_versions_and_times_agree() -> None:
    """The RayService names the installed version of Ray, and gives workers the time that replicas need to drain."""
    import ray

    from homeport.cluster.ray.replica import DRAIN_S

    assert ray.__version__ == ray_service.RAY_VERSION
    assert DRAIN_S < ray_service.WORKER_GRACE_S


async def test_application_finds_the_controller(cluster: "LocalCluster") -> None:
    """The application that KubeRay deploys runs on the head, and keeps a controller that runs already."""
    from ray import serve

    config = yaml.safe_load(ray_service.serve_config(plan()))["applications"][0]
    module, _, function = config["import_path"].partition(":")
    arguments = {**config["args"], "state_file": str(cluster.folder / "unused" / "controller.json")}
    name = f"test-{config['name']}"
    serve.run_many(
        [serve.RunTarget(getattr(importlib.import_module(module), function)(arguments), name=name, route_prefix=None)],
        wait_for_ingress_deployment_creation=False,
        wait_for_applications_running=False,
    )
    try:
        await until(lambda: serve.status().applications[name].status == "RUNNING", LIMIT_S)
        assert not (cluster.folder / "unused" / "controller.json").exists()
    finally:
        serve.delete(name)
