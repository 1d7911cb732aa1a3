"""Finds llama.cpp's compiled kernels, loads and describes them.

There are three kinds: a folder of separate libraries with one CPU backend per CPU family (the npm kernels); a single
shared object; and the one inside the installed `xllamacpp` wheel, whose module is never imported. A library stays
loaded until the process ends, because its threads and callbacks cannot be removed safely. Knows nothing of models,
settings or where kernels are stored: it receives a path or None.
"""

import importlib.util
import logging
import os
import sys
import threading
from pathlib import Path
from typing import Any

import cffi

from homeport.domain.errors import Unavailable
from homeport.engines.llama.c_api import (
    BACKENDS,
    LAYOUTS,
    PROBE,
    StructLayout,
    identify,
)
from homeport.engines.llama.devices import Device, load_failure, read_devices
from homeport.engines.llama.log import LlamaLog
from homeport.engines.processors import cores

_WHEEL = "xllamacpp"
_INSTALL = "run `homeport kernels install`"
_SUFFIXES = {"darwin": ".dylib", "win32": ".dll"}
_SUFFIX = _SUFFIXES.get(sys.platform, ".so")
_PREFIX = "" if sys.platform == "win32" else "lib"
_GPU_BACKENDS = ("cuda", "vulkan", "hip", "sycl")
_FALLBACK = "fallback"

logger = logging.getLogger("homeport.llama")
_loaded: dict[Path, "LlamaLibrary"] = {}
_loading = threading.Lock()
# Dropping a handle unloads its library, and ggml aborts the process if it is loaded a second time.
_opened: list[object] = []


class LlamaLibrary:
    """llama.cpp, loaded: `ffi` and `api` to call it, and its description.

    Loads `path` (the shared object with the `llama_*` functions) together with the libraries in the same folder that it
    needs. Raises Unavailable if it cannot be loaded, lacks functions, or has an unknown struct layout.
    """

    def __init__(self, path: Path, *, origin: str) -> None:
        self.path = path
        self.origin = origin
        self.log = LlamaLog()
        _preload(path)
        self.layout = _layout(path)
        self.ffi: Any = cffi.FFI()
        self.ffi.cdef(self.layout.cdef + BACKENDS)
        self.api = _open(self.ffi, path)
        self._check_functions()
        # CFFI frees a callback with its handle, and llama.cpp logs while it is loaded, so the handle is never dropped.
        self._callback = self.ffi.callback("ggml_log_callback")(self._write)
        self.api.llama_log_set(self._callback, self.ffi.NULL)
        self._load_backends()
        self.api.llama_backend_init()

    @property
    def version(self) -> str:
        """llama.cpp's own version and its struct layout."""
        return f"{self.text(self.api.llama_version())} (layout {self.layout.name})"

    @property
    def devices(self) -> tuple[Device, ...]:
        """The devices that can compute, such as `CPU: AMD EPYC`, with their memory now."""
        return read_devices(self.ffi, self._backends)

    @property
    def unused_backends(self) -> tuple[str, ...]:
        """The files of GPU backends that compute nothing here, each with the reason."""
        if any(device.is_gpu for device in self.devices):
            return ()
        unused = []
        for file in _gpu_backends(self.path.parent):
            reason = "" if file in self.log.backends else load_failure(file)
            unused.append(f"{file.name} ({reason or 'it finds no device'})")
        return tuple(unused)

    @property
    def features(self) -> str:
        """The CPU features that these kernels use, as llama.cpp names them."""
        info = self.text(self.api.llama_print_system_info()).removeprefix("CPU : ")
        return ", ".join(part.removesuffix("= 1").strip() for part in info.strip(" |").split(" | "))

    @property
    def family(self) -> str:
        """The CPU family whose kernels run: `haswell`, `zen4`, …; `fixed` if the build has only one."""
        for backend in self.log.backends:
            _, separator, family = backend.stem.partition("ggml-cpu-")
            if separator:
                return family
        return "fixed"

    def __str__(self) -> str:
        return f"llama.cpp {self.version}, {self.origin}, CPU kernels {self.family}"

    def functions(self, declarations: str) -> tuple[Any, Any]:
        """Return (ffi, api) for more functions of ggml, with these declarations."""
        ffi = cffi.FFI()
        ffi.cdef(declarations)
        return ffi, _open(ffi, _sibling(self.path.parent, "ggml-base") or self.path)

    def own_functions(self, declarations: str) -> tuple[Any, Any]:
        """Return (ffi, api) for more functions of the library itself, with these declarations."""
        ffi = cffi.FFI()
        ffi.cdef(declarations)
        return ffi, _open(ffi, self.path)

    @property
    def log_callback(self) -> int:
        """The address of a `ggml_log_callback` that writes to `log`."""
        return int(self.ffi.cast("uintptr_t", self._callback))

    def cpu_function(self, name: str) -> int:
        """Return the address of a function of the CPU backend by its name; 0 if there is none."""
        registry = self._backends.ggml_backend_reg_by_name(b"CPU")
        if registry == self.ffi.NULL:
            return 0
        ffi, api = self.functions("void *ggml_backend_reg_get_proc_address(void *registry, const char *name);")
        return int(ffi.cast("uintptr_t", api.ggml_backend_reg_get_proc_address(registry, name.encode())))

    def text(self, pointer: object) -> str:
        """Return a C string as text."""
        raw: bytes = self.ffi.string(pointer)
        return raw.decode("utf-8", "replace")

    def _write(self, level: int, text: object, _user_data: object) -> None:
        self.log.write(level, self.text(text))

    def _check_functions(self) -> None:
        missing = [name for name in dir(self.api) if name.startswith("llama_") and not hasattr(self.api, name)]
        if missing:
            raise Unavailable(f"{self.path} does not export {', '.join(missing)}: {_INSTALL}.")

    def _load_backends(self) -> None:
        # Linux and macOS find a symbol through the library's dependencies, Windows only in the library that has it.
        self._backends = self.api
        sibling = _sibling(self.path.parent, "ggml")
        if sibling is not None:
            self._backends = _open(self.ffi, sibling)
        if any(self.path.parent.glob(f"{_PREFIX}ggml-*{_SUFFIX}")):
            self._backends.ggml_backend_load_all_from_path(os.fsencode(self.path.parent))
            self._load_fallback()
        if self._backends.ggml_backend_dev_count() == 0:
            raise Unavailable(f"The kernels in {self.path.parent} have no backend that runs on this CPU.")

    def _load_fallback(self) -> None:
        """Load GPU backends built for older drivers (CUDA 12, not 13) if the others find no GPU."""
        if not any(device.is_gpu for device in self.devices):
            for file in _gpu_backends(self.path.parent / _FALLBACK):
                if not load_failure(file):
                    self._backends.ggml_backend_load(os.fsencode(file))


def kernels(path: Path | None) -> LlamaLibrary:
    """Load kernels: a folder or a shared object, or the installed wheel's for None. The same file is loaded once.

    Raises Unavailable, with what to do, if there are none or they cannot be used here.
    """
    file, origin = _find(path)
    file = file.resolve()
    with _loading:
        if file not in _loaded:
            library = LlamaLibrary(file, origin=origin)
            _loaded[file] = library
            logger.info("kernels: %s", library)
    return _loaded[file]


def describe(path: Path | None) -> str:
    """Return what `homeport doctor` prints about kernels: file, version, CPU family, devices, and what is faster.

    Raises Unavailable if they cannot be used.
    """
    library = kernels(path)
    lines = [
        f"kernels: {library.path} ({library.origin})",
        f"version: llama.cpp {library.version}",
        f"CPU kernels: {library.family}, using {library.features}",
        *(f"device: {device.facts}" for device in library.devices),
        f"threads: {cores()} at most by default, fewer while other programs are busy",
    ]
    if library.family == "fixed":
        gain = "1.3 to 1.6 times as fast" if _has_avx512() else "faster on many CPUs"
        lines.append(f"faster: {_INSTALL} for kernels chosen by CPU family at run time, {gain}")
    if library.unused_backends:
        unused = "; ".join(library.unused_backends)
        remedy = "install the GPU's driver, and the library named here if one is missing"
        lines.append(f"faster: the GPU kernels are not used: {unused}: {remedy}")
    return "\n".join(lines)


def _find(path: Path | None) -> tuple[Path, str]:
    if path is None:
        return _in_wheel(), f"the {_WHEEL} wheel's kernels"
    if path.is_dir():
        file = _sibling(path, "llama")
        if file is None:
            raise Unavailable(f"There is no {_PREFIX}llama*{_SUFFIX} in {path}: {_INSTALL}.")
        return file, "installed kernels"
    if not path.is_file():
        raise Unavailable(f"There are no kernels at {path}: {_INSTALL}.")
    return path, "a library from the settings"


def _gpu_backends(folder: Path) -> list[Path]:
    """Return the files of GPU backends in a folder."""
    files = (folder / f"{_PREFIX}ggml-{name}{_SUFFIX}" for name in _GPU_BACKENDS)
    return [file for file in files if file.is_file()]


def _in_wheel() -> Path:
    # Finding a top-level name does not import it; importing would load the library a second time.
    spec = importlib.util.find_spec(_WHEEL)
    for folder in spec.submodule_search_locations or () if spec else ():
        for pattern in (f"{_WHEEL}*.so", f"{_WHEEL}*.pyd"):
            for file in sorted(Path(folder).glob(pattern)):
                return file
    raise Unavailable(f"The package {_WHEEL} is not installed and no other kernels are named: {_INSTALL}.")


def _sibling(folder: Path, name: str) -> Path | None:
    """Return the library `name` in a folder, with or without a version in its file name."""
    plain = folder / f"{_PREFIX}{name}{_SUFFIX}"
    if plain.is_file():
        return plain
    versioned = sorted(folder.glob(f"{_PREFIX}{name}.*"))
    return next((file for file in versioned if _SUFFIX in file.suffixes), None)


def _preload(path: Path) -> None:
    """Load a library's dependencies by full path, so that they are found whatever run path it was built with."""
    if sys.platform == "win32":
        os.add_dll_directory(str(path.parent))
    for part in ("ggml-base", "ggml"):
        sibling = _sibling(path.parent, part)
        if sibling is not None:
            _open(cffi.FFI(), sibling)


def _open(ffi: Any, path: Path) -> Any:
    try:
        # Symbols stay local, so that another copy of ggml in this process is not mixed with this one.
        opened = ffi.dlopen(str(path), ffi.RTLD_NOW | ffi.RTLD_LOCAL)
    except OSError as error:
        raise Unavailable(f"The kernels {path} cannot be loaded here ({error}): {_INSTALL}.") from error
    _opened.append(opened)
    return opened


def _layout(path: Path) -> StructLayout:
    ffi = cffi.FFI()
    ffi.cdef(PROBE)
    api = _open(ffi, path)
    if not hasattr(api, "llama_context_default_params"):
        raise Unavailable(f"{path} does not export llama.cpp's functions on this platform: {_INSTALL}.")
    raw = [
        bytes(ffi.buffer(ffi.new("probe *", defaults())))
        for defaults in (api.llama_context_default_params, api.llama_model_default_params)
    ]
    layout, unfit = identify(raw[0], raw[1])
    if layout is None:
        known = ", ".join(known.name for known in LAYOUTS)
        raise Unavailable(
            f"The struct layout of {path} is unknown (defaults of {unfit} are not those of {known}): it was not used. "
            f"To get kernels that fit, {_INSTALL}."
        )
    return layout


def _has_avx512() -> bool:
    try:
        return "avx512f" in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
