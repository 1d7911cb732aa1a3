"""Whether this installation can use Ray, and the variables that Ray's processes read. Does not import Ray."""

import importlib.util
import secrets
import stat
import sys
from collections.abc import Mapping
from pathlib import Path

from homeport.domain.errors import ExtraNotInstalled, InvalidRequest, Unavailable

MISSING = "Clusters need the extra `cluster`: pip install 'homeport[cluster]'."
FILE_NAME = "cluster-token"
_FORBIDDEN_MODE = stat.S_IRWXG | stat.S_IRWXO
_RECONNECT_S = "3600"
"""How long nodes and gateways serve without the head before they end."""


_WORKER_NICENESS = "5"
"""Replicas come after Ray's own processes, but are not starved by whatever else a machine does: Ray's default is 15."""

_HEALTH_CHECKS = {
    "RAY_health_check_period_ms": "2000",
    "RAY_health_check_timeout_ms": "6000",
    "RAY_health_check_failure_threshold": "3",
}
"""The head gives up a node that is silent for 18 to 24 s; Ray by itself would use it for more than a minute."""


def require_ray() -> None:
    """Raise Unavailable on a system without clusters, and ExtraNotInstalled if Ray is not installed."""
    if sys.platform == "win32":
        raise Unavailable("Clusters do not run on Windows: use Linux, or WSL 2 on this machine.")
    if importlib.util.find_spec("ray") is None:
        raise ExtraNotInstalled(MISSING)


def ray_variables(token_file: Path) -> Mapping[str, str]:
    """Return the variables of every process that uses Ray: the token's file, and nothing reported to anyone."""
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token_file),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "RAY_gcs_rpc_server_reconnect_timeout_s": _RECONNECT_S,
        "RAY_worker_register_timeout_seconds": "120",
        "RAY_worker_niceness": _WORKER_NICENESS,
        **_HEALTH_CHECKS,
    }


def find_token(home: Path, token: str | None, token_file: Path | None) -> Path:
    """Return the file of the cluster's token: the given one, one written from `token`, else the home's.

    Raises InvalidRequest if there is none, or if others may read it.
    """
    path = token_file or home / FILE_NAME
    if token is not None and token_file is None:
        _write_token(path, token)
    try:
        mode = path.stat().st_mode
        is_empty = not path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(
            f"The cluster's token cannot be read from {path}. Copy the head's file there (`homeport cluster start` "
            "names it), name it by --token-file, or set HOMEPORT_CLUSTER_TOKEN."
        ) from error
    if is_empty:
        raise InvalidRequest(f"{path} is empty; it must hold the cluster's token.")
    if mode & _FORBIDDEN_MODE:
        raise InvalidRequest(f"{path} can be read by others: run `chmod 600 {path}`.")
    return path


def create_token(home: Path) -> Path:
    """Create the home's token if it has none; return its file."""
    path = home / FILE_NAME
    if not path.exists():
        _write_token(path, secrets.token_hex(32))
    return path


def _write_token(path: Path, token: str) -> None:
    """Write a file that only this user can read. Not atomic: it is created with its mode before it has content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(token.strip(), "ascii")
