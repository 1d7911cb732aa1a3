"""`python -m bench.tools`: tool calls of our server against llama.cpp's own, on the same file, at temperature 0.

`measure` runs both and prints the table; `ask` asks any running server; `judge` judges one or two files of answers.
With `--forced` a call is required, and cases without a right call are left out.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from bench import (
    log,
    machine,
    model_home,
    servers,
)
from bench.plan import Plan
from bench.tools import ask, cases, report
from bench.tools.ask import Endpoint
from bench.tools.cases import Case
from homeport import settings

OURS, PEER = "Homeport", "llama.cpp's server"


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _endpoint(side: servers.Served, arguments: argparse.Namespace, prefill: str = "") -> Endpoint:
    to, begun = side.address, prefill if arguments.forced else ""
    url, choice = f"http://{to.host}:{to.port}/v1", _choice(arguments)
    return Endpoint(url, to.model, to.key, arguments.max_tokens, choice, begun)


def _choice(arguments: argparse.Namespace) -> str:
    return "required" if arguments.forced else "auto"


def _cases(arguments: argparse.Namespace) -> list[Case]:
    found = cases.load(arguments.cases)
    if arguments.forced:
        found = [case for case in found if case.answers]
    return found[: arguments.limit]


def _measure(arguments: argparse.Namespace, wanted: list[Case]) -> list[str]:
    """Ask both servers, one after the other, on the same kernels and file; return the lines for the log."""
    threads = os.cpu_count() or 1
    plan = Plan(arguments.model, 1, threads, settings.load().home, _say)
    folder: Path = arguments.folder
    choice = _choice(arguments)
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    if OURS not in arguments.skip:
        with servers.homeport(arguments.model, plan.same_kernels()) as side:
            found[OURS] = ask.run(_endpoint(side, arguments), wanted, folder / f"ours-{choice}.jsonl", say=_say)
    if PEER not in arguments.skip:
        weights = model_home.weights(plan.home, arguments.model)
        with servers.llamacpp(weights, servers.TOOLS, threads) as side:
            to = _endpoint(side, arguments, servers.CALL_PREFILL)
            found[PEER] = ask.run(to, wanted, folder / f"peer-{choice}.jsonl", say=_say)
    method = f"{len(wanted)} cases, tool_choice {choice}, temperature 0, at most {arguments.max_tokens} tokens"
    heading = machine.heading(arguments.model, threads, "xllamacpp", method)
    lines = [f"### Tool calls · {heading}", "", *report.totals(wanted, found)]
    return [*lines, "", report.comparison(wanted, found[OURS], found[PEER])] if len(found) > 1 else lines


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.tools", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    measure = commands.add_parser("measure", help="start both servers, ask, judge and print the table")
    asking = commands.add_parser("ask", help="ask a running server")
    judging = commands.add_parser("judge", help="judge one or two files of answers, ours first")
    for command in (measure, asking, judging):
        command.add_argument("cases", type=Path, metavar="CASES", help="JSON lines, maybe with .gz")
        command.add_argument("--limit", type=int, help="only the first so many cases")
        command.add_argument("--forced", action="store_true", help="require a call")
    for command in (measure, asking):
        command.add_argument("--max-tokens", type=int, default=512)
    measure.add_argument("--model", default="qwen2.5-coder-0.5b")
    measure.add_argument("--folder", type=Path, required=True, help="folder of the answers; a second run continues")
    measure.add_argument("--skip", nargs="*", default=[], choices=(OURS, PEER))
    measure.add_argument("--log", action="store_true", help="append the table to bench/LOG.md")
    asking.add_argument("url", help="such as http://127.0.0.1:8080/v1")
    asking.add_argument("model")
    asking.add_argument("answers", type=Path, help="file of the answers; a second run continues")
    asking.add_argument("--key", default="bench")
    asking.add_argument("--prefill", default="", help="the begin of every answer, for llama.cpp's server")
    asking.add_argument("--concurrency", type=int, default=1)
    judging.add_argument("answers", type=Path, nargs="+")
    return parser


def main() -> None:
    """Run one command."""
    arguments = _parser().parse_args()
    wanted = _cases(arguments)
    if arguments.command == "measure":
        lines = _measure(arguments, wanted)
        if arguments.log:
            log.append(lines)
    elif arguments.command == "ask":
        sent = (arguments.key, arguments.max_tokens, _choice(arguments), arguments.prefill)
        to = Endpoint(arguments.url.rstrip("/"), arguments.model, *sent)
        answers = ask.run(to, wanted, arguments.answers, arguments.concurrency, _say)
        lines = report.totals(wanted, {arguments.model: answers})
    else:
        sides = {str(path): ask.read(path) for path in arguments.answers}
        lines = report.totals(wanted, sides)
        if len(sides) > 1:
            ours, theirs, *_ = sides.values()
            lines += ["", report.comparison(wanted, ours, theirs)]
    print("\n".join(lines), flush=True)


if __name__ == "__main__":
    main()
