"""`open`: the running server's page in the browser, signed in."""

import webbrowser
from urllib.parse import urlsplit

import click

from homeport.cli.connection import find_server
from homeport.cli.options import SettingsCommand
from homeport.cli.output import echo
from homeport.client import http_client
from homeport.settings import Settings


@click.command("open", cls=SettingsCommand, settings=("home", "port"))
@click.option("--print", "is_printed", is_flag=True, help="Print the link only, such as for a browser elsewhere.")
def open_page(settings: Settings, is_printed: bool) -> None:
    """Open the running server's page in the browser, signed in.

    The link works once, for two minutes. The browser then has the rights of this user's commands for twelve hours:
    every model, and the administration.
    """
    server, _ = find_server(settings)
    # The token is in the fragment, which browsers send to no server.
    url = _local_url(server.url)
    link = f"{url}/#/link/{http_client.create_page_link(server)}"
    if is_printed or not webbrowser.open(link):
        echo(link)
    else:
        echo(f"Opened {url} in the browser.")


def _local_url(url: str) -> str:
    """Return an address that browsers of this machine reach: a server that listens on all of them is on loopback."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(urlsplit(url).hostname or "")  # noqa: S104 - compared only
    return url if host is None else f"http://{host}:{urlsplit(url).port}"
