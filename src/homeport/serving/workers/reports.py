"""The state of a worker as an operator sees it. Knows nothing of leases or of why a model is loaded."""

import psutil

from homeport.domain.models import EngineStats
from homeport.domain.operations import WorkerReport
from homeport.serving.workers.supervisor import WorkerSupervisor


def report_worker(
    supervisor: WorkerSupervisor, memory_bytes: int, idle_s: float = 0.0, state: str = ""
) -> WorkerReport:
    """Return a worker's state; `state` replaces the supervisor's, if given."""
    session = supervisor.current
    stats = session.gauges if session else EngineStats()
    return WorkerReport(
        model=supervisor.launch_message.spec.model,
        pid=session.pid if session else None,
        state=state or supervisor.phase.value,
        memory_bytes=memory_bytes,
        running=stats.running,
        waiting=stats.waiting,
        cells_used=stats.cells_used,
        cells=stats.cells,
        window=(session.loaded.window or 0) if session else 0,
        kernels=session.loaded.kernels if session else "",
        prompts=stats.prompts,
        device=session.loaded.device if session else "",
        device_bytes=stats.device_bytes,
        idle_s=idle_s,
        restarts=supervisor.restarts,
        reason=supervisor.reason,
    )


def rss_bytes(supervisor: WorkerSupervisor) -> int:
    """Return the resident memory of the worker and its children; 0 if it does not run."""
    session = supervisor.current
    if session is None or session.pid is None:
        return 0
    try:
        worker = psutil.Process(session.pid)
        return sum(_rss_bytes(process) for process in (worker, *worker.children(recursive=True)))
    except psutil.NoSuchProcess:
        return 0


def _rss_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
