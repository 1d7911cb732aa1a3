"""Options of ONNX Runtime sessions: how many threads they use, and how these wait. Knows nothing of models."""

import onnxruntime

from homeport.engines.processors import cores


def session_options(threads: int | None) -> onnxruntime.SessionOptions:
    """Options of a session with this number of threads; None or 0: one per core.

    Threads that spin would take processors from programs, and from models, beside this one. Left to itself the library
    would also pin its threads to processors, even busy ones; it does not if their number is given.
    """
    made = onnxruntime.SessionOptions()
    made.intra_op_num_threads = threads or cores()
    made.inter_op_num_threads = 1
    made.log_severity_level = 3
    made.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return made
