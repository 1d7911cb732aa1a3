"""The scripted server of the CLI's tests."""

from tests.cli.conftest import running as running
from tests.cli.conftest import server as server
