"""The doctor: its findings, and that it uses the network only if asked to."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from homeport.app import doctor
from homeport.app.doctor import Probes, examine
from homeport.client import runfile
from homeport.domain.errors import EngineFailed, InvalidRequest, Unavailable
from homeport.domain.models import InstalledModel, ModelFacts
from homeport.domain.operations import Finding
from homeport.settings import Settings

MODEL = InstalledModel(ModelFacts("small", "text", "text", size_bytes=98_362_432), {}, "d1")


def _verified(model: InstalledModel) -> None:
    """Find nothing wrong."""


def _refused(name: str) -> str:
    raise AssertionError(f"the network was used: {name}")


PROBES = Probes(lambda: "AVX2 kernels", lambda: [MODEL], _verified, ("hf", "ms"), _refused)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return Settings(home=tmp_path / "home", port=probe.getsockname()[1])


def findings(settings: Settings, probes: Probes = PROBES, *, online: bool = False) -> dict[str, Finding]:
    return {finding.name: finding for finding in examine(settings, probes, online=online)}


def test_sound_machine_has_nothing_bad(settings: Settings) -> None:
    """On a sound machine no finding is bad, and no hub is queried."""
    by_name = findings(settings)
    assert list(by_name) == ["python", "platform", "kernels", "prompts", "disk", "memory", "port", "model"]
    assert not [finding for finding in by_name.values() if finding.state == "bad"]
    assert by_name["model"].detail == "small: 0.10 GB, hashes match"


def test_faster_kernels_are_a_remedy(settings: Settings) -> None:
    """Kernels that could be faster are a warning with the command that helps; kernels that do not load are bad."""
    slow = findings(
        settings, replace(PROBES, kernels=lambda: "kernels: wheel\ndevice: CPU\nfaster: homeport kernels install")
    )
    assert (slow["kernels"].state, slow["kernels"].detail) == ("warning", "wheel; device: CPU")
    assert slow["kernels"].remedy == "homeport kernels install"

    def broken() -> str:
        raise EngineFailed("no library")

    assert findings(settings, replace(PROBES, kernels=broken))["kernels"].state == "bad"


def test_damaged_model_is_bad(settings: Settings) -> None:
    """A model with a wrong hash is bad, and the remedy pulls it again; no model at all is a warning."""

    def damaged(model: InstalledModel) -> None:
        raise InvalidRequest("wrong hash")

    finding = findings(settings, replace(PROBES, verify=damaged))["model"]
    assert (finding.state, finding.remedy) == ("bad", "homeport rm small; homeport pull small")
    assert findings(settings, replace(PROBES, models=list))["models"].state == "warning"


def test_taken_port_is_bad(settings: Settings) -> None:
    """A port that another program listens on is bad; a Homeport server on it is good."""
    with socket.create_server(("127.0.0.1", settings.port)):
        assert findings(settings)["port"].state == "bad"
        runfile.publish(settings.home, f"http://127.0.0.1:{settings.port}", settings.port)
        assert findings(settings)["port"].state == "good"


def test_budget_beyond_the_machine_is_a_warning(settings: Settings) -> None:
    """A memory budget larger than the memory is a warning."""
    assert findings(replace(settings, memory_budget_bytes=10**18))["memory"].state == "warning"


def test_allowed_mcp_hosts_are_shown(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts of MCP servers are listed if any are allowed; without the extra that is a warning with its remedy."""
    assert "mcp" not in findings(settings)
    listed = replace(settings, mcp_hosts=("mcp.example.com", "localhost:9000"))
    assert findings(listed)["mcp"].detail == "responses may use mcp.example.com, localhost:9000"
    monkeypatch.setattr(doctor, "find_spec", lambda _: None)
    finding = findings(listed)["mcp"]
    assert (finding.state, finding.remedy) == ("warning", "pip install 'homeport[mcp]'")


def test_allowed_image_hosts_are_shown(settings: Settings) -> None:
    """Hosts from which images are fetched are listed if any are allowed."""
    assert "image hosts" not in findings(settings)
    listed = replace(settings, image_hosts=("images.example.com", "*"))
    assert findings(listed)["image hosts"].detail.endswith("fetched from images.example.com, every public host")


def test_hubs_are_asked_online_only(settings: Settings) -> None:
    """With `online` each hub is queried, unless the setting `offline` is on."""

    def reach(name: str) -> str:
        if name == "ms":
            raise Unavailable("no answer in 5 s")
        return "answered in 0.1 s"

    last_two = list(examine(settings, replace(PROBES, reach=reach), online=True))[-2:]
    assert [(finding.state, finding.detail) for finding in last_two] == [
        ("good", "hf: answered in 0.1 s"),
        ("warning", "ms: no answer in 5 s"),
    ]
    assert findings(replace(settings, offline=True), online=True)["hubs"].state == "warning"
