"""Computes prompts with OpenVINO on CPUs. The extra `prompts` installs what it needs.

OpenVINO's converters report their use through a package of their own, and fall back to a stub where it is missing.
Nothing here converts, but importing OpenVINO loads that package too: so it cannot be imported in this process.
"""

import sys
from typing import Any

_modules: dict[str, Any] = sys.modules
_modules["openvino_telemetry"] = None
