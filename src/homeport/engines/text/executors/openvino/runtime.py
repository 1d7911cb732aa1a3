"""OpenVINO's runtime, without the package that reports the use of its converters.

OpenVINO's own modules fall back to a stub where that package is missing, so it is made missing in this process.
All modules import OpenVINO from here.
"""

import sys

sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # Python's way to forbid an import

import openvino as ov  # noqa: E402
from openvino import opset13 as op  # noqa: E402

__all__ = ["op", "ov"]
