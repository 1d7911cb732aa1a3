"""`homeport doctor` and `homeport version`."""

import platform

import click

import homeport
from homeport.cli.options import ALL_SETTINGS, SettingsCommand, application
from homeport.cli.output import echo, json_flag, print_json
from homeport.settings import Settings


@click.command(cls=SettingsCommand, settings=ALL_SETTINGS)
@click.option("--online", is_flag=True, help="Also check that the hubs can be reached.")
@json_flag
@click.pass_context
def doctor(context: click.Context, settings: Settings, online: bool, is_json: bool) -> None:
    """Examine the machine and the installation. The exit status is 1 if something does not work."""
    findings = []
    for finding in application(context).diagnose(settings, online=online):
        findings.append(finding)
        if not is_json:
            mark = {"good": "ok  ", "warning": "warn", "bad": "BAD "}[finding.state]
            echo(f"{mark}  {finding.name:<12}  {finding.detail}")
            if finding.remedy:
                echo(f"{'':<6}{'':<12}  -> {finding.remedy}")
    if is_json:
        print_json(findings)
    context.exit(int(any(finding.state == "bad" for finding in findings)))


@click.command()
@json_flag
def version(is_json: bool) -> None:
    """Print the versions of Homeport and Python."""
    versions = {"homeport": homeport.__version__, "python": platform.python_version(), "system": platform.platform()}
    print_json(versions) if is_json else echo(" ".join(f"{name} {value}" for name, value in versions.items()))
