"""The environment of child processes."""

import os

import pytest

from homeport.domain import child_environment

SECRETS = {
    "HOMEPORT_ADMIN_KEY": "admin",
    "HOMEPORT_API_KEYS": "sk-1",
    "HOMEPORT_DATABASE_URL": "postgresql://me:word@host/db",
    "HF_TOKEN": "hf_1",
    "AWS_SECRET_ACCESS_KEY": "aws",
    "AWS_ACCESS_KEY_ID": "aws",
    "GOOGLE_APPLICATION_CREDENTIALS": "/home/me/google.json",
    "OPENAI_API_KEY": "sk-2",
    "NVIDIA_API_KEY": "nvapi",
    "LLAMA_CLOUD_API_KEY": "llx",
    "TORCH_PASSWORD": "word",
    "HTTPS_PROXY": "http://me:word@proxy",
    "SOMETHING": "else",
}
NEEDED = {
    "PATH": "/bin",
    "HOME": "/home/me",
    "TMPDIR": "/var/me",
    "LC_ALL": "C.UTF-8",
    "PYTHONPATH": "/here",
    "LD_LIBRARY_PATH": "/lib",
    "DYLD_FALLBACK_LIBRARY_PATH": "/lib",
    "__CF_USER_TEXT_ENCODING": "0x1F5:0x0:0x0",
    "CUDA_VISIBLE_DEVICES": "1",
    "NVIDIA_VISIBLE_DEVICES": "all",
    "__NV_PRIME_RENDER_OFFLOAD": "1",
    "OMP_NUM_THREADS": "2",
    "GOMP_SPINCOUNT": "0",
    "XDG_RUNTIME_DIR": "/run/me",
}


def test_programs_get_what_they_need_and_no_secret() -> None:
    """Folders, locale, loaders, threads and GPUs are passed on; keys, tokens and all else are not."""
    assert child_environment.child_environment({**SECRETS, **NEEDED}) == NEEDED


def test_package_tools_keep_theirs_and_get_none_of_our_settings() -> None:
    """pip and npm need proxies and their own settings; Homeport's settings hold keys."""
    found = child_environment.environment_without_settings(
        {**SECRETS, **NEEDED, "PIP_INDEX_URL": "x", "homeport_admin_key": "y"}
    )
    assert found.keys() == {*NEEDED, *(name for name in SECRETS if not name.startswith("HOMEPORT_")), "PIP_INDEX_URL"}


@pytest.mark.parametrize(
    ("before", "after"),
    [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, None)],
)
def test_threads_that_wait_sleep_early(
    monkeypatch: pytest.MonkeyPatch, before: dict[str, str], after: str | None
) -> None:
    """OpenMP's waiting threads yield the core soon, unless the operator has set how they wait."""
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in before.items():
        monkeypatch.setenv(name, value)
    child_environment.limit_thread_spinning()
    assert os.environ.get("GOMP_SPINCOUNT") == after


@pytest.mark.parametrize(("before", "after"), [(None, "1"), ("4", "4")])
def test_products_of_numpy_take_one_thread(monkeypatch: pytest.MonkeyPatch, before: str | None, after: str) -> None:
    """OpenBLAS gets one thread, so that none spins where the kernels compute, unless the operator has set a number."""
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    if before is not None:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", before)
    child_environment.limit_thread_spinning()
    assert os.environ["OPENBLAS_NUM_THREADS"] == after


def test_background_programs_do_not_spin_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Low-priority children never spin and choose their OpenBLAS threads; this process's environment is unchanged."""
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    monkeypatch.setenv("LC_OTHER", "kept")
    monkeypatch.setenv("HOMEPORT_ADMIN_KEY", "secret")
    found = child_environment.low_priority_environment()
    assert (found["GOMP_SPINCOUNT"], found["LC_OTHER"], os.environ["GOMP_SPINCOUNT"]) == ("0", "kept", "7")
    assert not {"OPENBLAS_NUM_THREADS", "HOMEPORT_ADMIN_KEY"} & found.keys()
