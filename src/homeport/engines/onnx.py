"""How engines on ONNX Runtime compute: with which threads, and how these wait. Knows nothing of models."""

import onnxruntime

from homeport.engines.processors import cores


def options(threads: int | None) -> onnxruntime.SessionOptions:
    """Options of a session that computes with so many threads; None or 0: one for each core.

    Threads that spin would take processors from programs, and from models, beside this one. Left to itself the library
    would also bind its threads to processors, busy ones too: it does not where it is told their number.
    """
    made = onnxruntime.SessionOptions()
    made.intra_op_num_threads = threads or cores()
    made.inter_op_num_threads = 1
    made.log_severity_level = 3
    made.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return made
