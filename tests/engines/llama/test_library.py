"""Kernels are found, identified, described, and refused if they are unknown."""

import shutil
import subprocess
import sys
from pathlib import Path

import cffi
import pytest

from homeport.domain.errors import Unavailable
from homeport.engines.llama.c_api import LAYOUTS, PROBE, identify
from homeport.engines.llama.library import describe, kernels


def defaults(file: Path) -> tuple[bytes, bytes]:
    """Return the raw default parameters of the kernels in a file: the context's and the model's."""
    ffi = cffi.FFI()
    ffi.cdef(PROBE)
    api = ffi.dlopen(str(file))
    raw = [
        bytes(ffi.buffer(ffi.new("probe *", getattr(api, f"llama_{kind}_default_params")())))
        for kind in ("context", "model")
    ]
    return raw[0], raw[1]


def test_layouts_are_identified(library: Path | None) -> None:
    """Each set of kernels is identified as the one layout whose defaults it has."""
    layout, unfit = identify(*defaults(kernels(library).path))
    assert layout == kernels(library).layout
    assert layout in LAYOUTS
    assert unfit == ""


def test_unknown_layout_is_refused(library: Path | None) -> None:
    """A build with another field in the middle fits no layout, and the differing fields are named."""
    context, model = defaults(kernels(library).path)
    layout, unfit = identify(context[:28] + b"\x07\0\0\0" + context[28:-4], model)
    assert layout is None
    assert "n_threads" in unfit


def test_unknown_model_layout_is_refused(library: Path | None) -> None:
    """The model's parameters are checked like the context's."""
    context, model = defaults(kernels(library).path)
    layout, unfit = identify(context, model[:16] + b"\x07\0\0\0" + model[16:-4])
    assert layout is None
    assert "n_gpu_layers" in unfit


def test_same_kernels_are_loaded_once(library: Path | None) -> None:
    """A second call for the same kernels returns the loaded library."""
    assert kernels(library) is kernels(library)


def test_description_names_kernels(library: Path | None) -> None:
    """It has file, version, CPU family and device, and suggests faster kernels only to those without families."""
    text = describe(library)
    assert str(kernels(library).path) in text
    assert "llama.cpp" in text
    assert "device: CPU" in text
    assert ("homeport kernels install" in text) == (kernels(library).family == "fixed")


def test_families_are_chosen_at_run_time(library: Path | None) -> None:
    """Kernels in a folder name the CPU family they chose; the wheel has only one."""
    assert (kernels(library).family == "fixed") == (library is None)


def test_wheel_is_not_imported() -> None:
    """Finding the wheel's kernels does not run its Python module."""
    assert "None" not in str(kernels(None).path)
    assert "xllamacpp" not in sys.modules


def test_gpu_kernels_that_do_not_load_are_named(library: Path | None, tmp_path: Path) -> None:
    """A GPU backend that does not load here is named with the reason, and the CPU computes."""
    if library is None or not library.is_dir():
        pytest.skip("a single library has no backends of its own")
    folder = tmp_path / "kernels"
    shutil.copytree(library, folder)
    (folder / "libggml-cuda.so").write_bytes(b"no library")
    command = [sys.executable, "-m", "homeport.engines.llama", str(folder)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "device: CPU" in text
    assert "faster: the GPU kernels are not used: libggml-cuda.so (" in text


@pytest.mark.parametrize("name", ["nothing.so", "empty"])
def test_absent_kernels_are_named(tmp_path: Path, name: str) -> None:
    """A path without kernels is an error with the path and the command to run."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(Unavailable, match="kernels install") as caught:
        kernels(tmp_path / name)
    assert str(tmp_path) in caught.value.message


def test_foreign_file_is_refused(tmp_path: Path) -> None:
    """A file that is not a library is an error, not a crash."""
    file = tmp_path / "libllama.so"
    file.write_bytes(b"not a library")
    with pytest.raises(Unavailable, match="cannot be loaded here"):
        kernels(file)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names a library every Linux Python has")
def test_library_without_functions_is_refused() -> None:
    """A library that is not llama.cpp is refused by the functions it lacks."""
    import _cffi_backend

    with pytest.raises(Unavailable, match="does not export"):
        kernels(Path(_cffi_backend.__file__))
