"""Devices: which GPUs a model is placed on, and how its place and memory are described."""

from pathlib import Path

import pytest

from homeport.domain.errors import Unavailable
from homeport.engines.llama.devices import Device, Placement, advise_on_memory, choose_gpus, load_failure

GB = 1_000_000_000


def device(name: str, type: int) -> Device:
    return Device(name, f"a {name}", type, 6 * GB, 8 * GB, 1)


CPU, BLAS = device("CPU", 0), device("BLAS", 3)
OWN, OTHER, SHARED, SECOND = device("CUDA0", 1), device("CUDA1", 1), device("Vulkan0", 2), device("Vulkan1", 2)


@pytest.mark.parametrize(
    ("devices", "gpu_layers", "chosen"),
    [
        ((OWN, OTHER, SHARED, CPU), None, (OWN, OTHER)),
        ((SHARED, SECOND, CPU), None, (SHARED,)),
        ((OWN, CPU), 7, (OWN,)),
        ((OWN, SHARED, CPU), 0, ()),
        ((BLAS, CPU), None, ()),
        ((CPU,), 0, ()),
    ],
)
def test_gpus_with_memory_of_their_own_come_first(
    devices: tuple[Device, ...], gpu_layers: int | None, chosen: tuple[Device, ...]
) -> None:
    """All of them are used, else one that shares the CPU's memory; none for 0 layers or without a GPU."""
    assert choose_gpus(devices, gpu_layers) == chosen


def test_layers_without_a_gpu_are_refused() -> None:
    """Layers that are requested but have no GPU are an error with the setting and the command to run."""
    with pytest.raises(Unavailable, match=r"`gpu_layers` is 7.*kernels install") as caught:
        choose_gpus((BLAS, CPU), 7)
    assert "`gpu_layers` to 0" in caught.value.message


def test_placement_names_gpus_and_layers() -> None:
    """A model's place names all its GPUs, each description once; without layers there it is the CPU."""
    assert str(Placement((OWN, OTHER), 20, 31)) == "CUDA0, CUDA1: a CUDA0, a CUDA1, 20 of 31 layers"
    assert str(Placement((OWN, OWN), 31, 31)) == "CUDA0, CUDA0: a CUDA0, 31 of 31 layers"
    assert str(Placement((OWN,), 0, 31)) == str(Placement()) == "cpu"


@pytest.mark.parametrize(("layers", "share"), [(31, 1.0), (16, 0.5), (1, 0.0), (0, 0.0)])
def test_kv_is_where_its_layers_are(layers: int, share: float) -> None:
    """The output layer, which is placed first, has no KV."""
    assert Placement((OWN,), layers, 31).kv_share == share


def test_only_buffers_of_the_gpus_count() -> None:
    """A GPU's own and mapped buffers are its memory; those of the CPU, and of the CPU for a GPU, are not."""
    buffers = {"CUDA0": 1, "CUDA0_Mapped": 2, "CUDA1": 4, "CPU": 8, "CUDA_Host": 16, "CPU_Mapped": 32}
    assert Placement((OWN,), 31, 31).bytes_on(buffers) == 3
    assert Placement((OWN, OTHER), 31, 31).bytes_on(buffers) == 7
    assert Placement().bytes_on(buffers) == 0


def test_memory_of_a_gpu_is_described() -> None:
    """The free and total memory of a GPU is reported, that of the CPU is not the kernels' to report."""
    assert OWN.facts == "CUDA0: a CUDA0, 6.0 GB of 8.0 GB free"
    assert CPU.facts == "CPU: a CPU"


def test_advice_is_for_memory_of_a_gpu_only() -> None:
    """A model that does not fit into a GPU gets advice; a damaged file, or one too large for the CPU, gets none."""
    assert "`gpu_layers`" in advise_on_memory("unable to allocate CUDA0 buffer", (OWN,))
    assert advise_on_memory("unable to allocate CPU buffer", (OWN,)) == ""
    assert advise_on_memory("invalid magic characters, CUDA0", (OWN,)) == ""
    assert advise_on_memory("unable to allocate CUDA0 buffer", ()) == ""


def test_backend_that_does_not_load_has_a_reason(tmp_path: Path) -> None:
    """The system's reason is returned, without the path in front of it."""
    file = tmp_path / "libggml-cuda.so"
    file.write_bytes(b"no library")
    assert load_failure(file)
    assert not load_failure(file).startswith(str(file))
