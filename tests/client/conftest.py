"""The scripted server of the command line's tests, for those of the client."""

from tests.cli.conftest import running as running
from tests.cli.conftest import server as server
