"""Which environment variables Kubernetes sets for the services of a namespace, so that none is read as a setting.

A service called `homeport` sets HOMEPORT_PORT=tcp://…, which is not this server's port. Knows no setting.
"""

import re

_PART = re.compile(
    r"HOMEPORT_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_\d+_(?:TCP|UDP|SCTP)_(?:PROTO|PORT|ADDR))"
)
_ADDRESS = re.compile(r"HOMEPORT_(?:\w+_)?PORT(?:_\d+_(?:TCP|UDP|SCTP))?")
_URL = re.compile(r"(?:tcp|udp|sctp)://")


def is_service_link(name: str, value: str) -> bool:
    """Return whether Kubernetes set this variable, as it does for every service. It is recognized by form."""
    return bool(_PART.fullmatch(name) or (_ADDRESS.fullmatch(name) and _URL.match(value)))
