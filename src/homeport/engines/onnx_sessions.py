"""Opens ONNX Runtime sessions: the number of threads, and how these wait. Knows nothing of models."""

from pathlib import Path

import onnxruntime

from homeport.domain.errors import Unavailable, excerpt
from homeport.engines.processors import cores


def session_options(threads: int | None) -> onnxruntime.SessionOptions:
    """Return the options of a session with this number of threads; None or 0: one per core.

    Spinning threads would take processors from other programs and other models. By default the library would also pin
    its threads to processors, even busy ones; it does not if their number is set.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or cores()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def open_session(file: Path, threads: int | None) -> onnxruntime.InferenceSession:
    """Load a graph, to be computed by CPUs. Raises Unavailable if it does not load."""
    try:
        return onnxruntime.InferenceSession(str(file), session_options(threads), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common base class
        raise Unavailable(f"{file.name} does not load: {type(error).__name__}: {excerpt(str(error))}") from error
