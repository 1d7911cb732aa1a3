"""What programs that are started get of the environment."""

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
    """Places, languages, loaders, threads and GPUs are handed on; keys, tokens and all else are not."""
    assert child_environment.child_environment({**SECRETS, **NEEDED}) == NEEDED


def test_package_tools_keep_theirs_and_get_none_of_our_settings() -> None:
    """pip and npm need proxies and their own settings; ours hold keys."""
    found = child_environment.environment_without_settings(
        {**SECRETS, **NEEDED, "PIP_INDEX_URL": "x", "homeport_admin_key": "y"}
    )
    assert found.keys() == {*NEEDED, *(name for name in SECRETS if not name.startswith("HOMEPORT_")), "PIP_INDEX_URL"}
