"""The devices that loaded kernels can compute on, and where the layers of a model are.

Device names, types and memory are those that ggml reports. Knows nothing of files, settings or contexts.
"""

import ctypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from homeport.domain.errors import Unavailable
from homeport.domain.models import CPU

CPU_TYPE, _GPU, _INTEGRATED = 0, 1, 2  # ggml's numbers of device types; 3: an accelerator that works beside the CPU
_GB = 1_000_000_000
_INSTALL = "run `homeport kernels install cuda` (or `vulkan`) and `homeport doctor`"


class Device(msgspec.Struct, frozen=True):
    """One device. `type`: ggml's number; `address`: of its handle. Memory in bytes when it was read; 0: unknown."""

    name: str
    description: str
    type: int
    free_bytes: int
    total_bytes: int
    address: int

    @property
    def is_gpu(self) -> bool:
        """Whether it is a GPU, with memory of its own or not."""
        return self.type in (_GPU, _INTEGRATED)

    @property
    def facts(self) -> str:
        """Name and description, and of a GPU its memory."""
        if not self.is_gpu:
            return str(self)
        return f"{self}, {self.free_bytes / _GB:.1f} GB of {self.total_bytes / _GB:.1f} GB free"

    def __str__(self) -> str:
        return f"{self.name}: {self.description}"


class Placement(msgspec.Struct, frozen=True):
    """Where a model's layers are: `layers` of its `total` on `devices`, the others on the CPU; no devices: all there.

    Both numbers count the output layer as one, which is the first to be placed on a device.
    """

    devices: tuple[Device, ...] = ()
    layers: int = 0
    total: int = 0

    @property
    def kv_share(self) -> float:
        """The share of the KV cache on the devices: that of the layers with attention."""
        return max(self.layers - 1, 0) / max(self.total - 1, 1)

    def bytes_on(self, buffers: Mapping[str, int]) -> int:
        """Sum up the buffers on the devices; a device has buffers of its own name, some with a suffix after `_`."""
        names = {device.name for device in self.devices}
        return sum(size for name, size in buffers.items() if name in names or name.rpartition("_")[0] in names)

    def __str__(self) -> str:
        if not self.layers:
            return CPU
        names = ", ".join(device.name for device in self.devices)
        descriptions = ", ".join(dict.fromkeys(device.description for device in self.devices))
        return f"{names}: {descriptions}, {self.layers} of {self.total} layers"


def read_devices(ffi: Any, api: Any) -> tuple[Device, ...]:
    """Return all devices of the loaded backends, with their memory now."""
    devices = []
    for index in range(api.ggml_backend_dev_count()):
        handle = api.ggml_backend_dev_get(index)
        free, total = ffi.new("size_t *"), ffi.new("size_t *")
        api.ggml_backend_dev_memory(handle, free, total)
        name, description = (
            ffi.string(text(handle)).decode("utf-8", "replace")
            for text in (api.ggml_backend_dev_name, api.ggml_backend_dev_description)
        )
        address = int(ffi.cast("uintptr_t", handle))
        devices.append(Device(name, description, api.ggml_backend_dev_type(handle), free[0], total[0], address))
    return tuple(devices)


def choose_gpus(devices: Sequence[Device], gpu_layers: int | None) -> tuple[Device, ...]:
    """Return the GPUs for a model: all with memory of their own, else the first that shares the CPU's.

    `gpu_layers`: how many layers shall be there; 0: none, so no GPU is used; None: all if there is a GPU. Raises
    Unavailable if layers are requested and there is no GPU.
    """
    if gpu_layers == 0:
        return ()
    own = tuple(device for device in devices if device.type == _GPU)
    shared = tuple(device for device in devices if device.type == _INTEGRATED)[:1]
    if gpu_layers and not own and not shared:
        raise Unavailable(
            f"`gpu_layers` is {gpu_layers}, but these kernels find no GPU: {_INSTALL}, or set `gpu_layers` to 0."
        )
    return own or shared


def advise_on_memory(reason: str, gpus: Sequence[Device]) -> str:
    """Return a sentence about `gpu_layers` if a model does not load because memory cannot be allocated on a GPU."""
    is_about_a_gpu = "alloc" in reason and any(gpu.name in reason for gpu in gpus)
    return " A smaller `gpu_layers` needs less of the GPU's memory." if is_about_a_gpu else ""


def load_failure(backend: Path) -> str:
    """Return why a backend's file cannot be loaded into this process, empty if it can."""
    try:
        ctypes.CDLL(str(backend))
    except OSError as error:
        return str(error).removeprefix(f"{backend}: ")
    return ""
