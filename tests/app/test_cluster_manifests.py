"""The manifest of a cluster as the settings say."""

from pathlib import Path

import pytest
import yaml

from homeport.app.cluster_commands import render_manifest
from homeport.domain.clusters import ManifestOptions
from homeport.domain.errors import InvalidRequest
from homeport.settings import Settings

OPTIONS = ManifestOptions(image="homeport:1")


def test_manifest_follows_the_settings(tmp_path: Path) -> None:
    """Ports, models and the time to drain are those of the settings; the token is the content of its file."""
    file = tmp_path / "token"
    file.write_text("abc\n")
    settings = Settings(cluster_token_file=file, cluster_ports=9000, drain_s=90.0, models=("small",))
    found = {
        (each["kind"], each["metadata"]["name"]): each
        for each in yaml.safe_load_all(render_manifest(settings, OPTIONS))
        if each
    }
    assert found["Secret", "homeport-token"]["stringData"] == {"auth_token": "abc"}
    gateway = found["Deployment", "homeport-gateway"]["spec"]["template"]["spec"]
    assert gateway["terminationGracePeriodSeconds"] > 90
    assert "small" in gateway["containers"][0]["command"]
    head = found["RayService", "homeport"]["spec"]["rayClusterConfig"]["headGroupSpec"]
    assert head["rayStartParams"]["port"] == "9000"
    assert "homeport.app.cluster_models:node_models" in found["RayService", "homeport"]["spec"]["serveConfigV2"]


@pytest.mark.parametrize("content", [None, b"", b"\xff"])
def test_useless_token_file(tmp_path: Path, content: bytes | None) -> None:
    """A token file that is missing, empty or no text is refused by name."""
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InvalidRequest, match=str(file)):
        render_manifest(Settings(cluster_token_file=file), OPTIONS)
