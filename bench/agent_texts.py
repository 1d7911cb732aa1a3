"""The texts of an agent's conversation: a long system prompt, its tools, and the results of their calls. Pure.

All of it is made from a seed. Arguments of the tools are words of a list or bounded numbers, so that every call that a
model is forced to make is short and ends.
"""

import itertools
import random
from typing import Any

_RECORDS = ("order", "shipment", "invoice", "customer", "ticket")
_VERBS = ("get", "list", "update", "close", "export")
_AREAS = ("billing", "delivery", "returns", "contracts", "warranty", "accounts", "spare parts", "field service")
_REGIONS = ("north", "south", "east", "west", "central")
_STATES = ("new", "open", "waiting", "blocked", "done", "cancelled")
_TEAMS = ("support desk", "finance team", "warehouse", "legal desk", "partner office", "duty manager")
_DETAILS = ("the date of the last change", "the contact person", "the open amount", "the tracking note", "its history")
_PERIODS = ("two hours", "one working day", "three working days", "a week", "the end of the month")
_CHANNELS = ("telephone", "email", "the web form", "a branch office", "a partner")

_RULES = (
    "If a request about {area} arrives by {channel}, read the {record} first and compare {detail} with what was said.",
    "Requests about {area} from region {region} belong to the {team}, who answer within {period}.",
    "Never change the state of a {record} from {state} to {other} without reading {detail} in the same session.",
    "When a {record} is {state} for longer than {period}, inform the {team} and note {detail}.",
    "The {team} may export a {record} of region {region} only if {detail} is complete.",
    "A caller who asks about {area} a second time within {period} is passed on to the {team}.",
    "Mention {detail} in the summary of every {record}, also when it is {state} or {other}.",
    "For {area} in region {region} the state {state} means that the {team} waits for {detail}.",
)
_RESULT_FORMS = (
    "{record} {number}: {state}, region {region}, {area}, last change by the {team}.",
    "Note: {detail} was checked by {channel}; the answer is due within {period}.",
)
TOOLS = len(_RECORDS) * len(_VERBS)
_SYSTEM_RULES, _RESULT_LINES = 70, 7
TASK = "Work through the open requests of today: look at one record after another and take the next necessary step."


def system(seed: str) -> str:
    """The system prompt. It begins with the seed, so that nothing of it was seen before under another one."""
    draw = random.Random(seed)
    head = f"Session {seed}. You are the assistant of a service centre and act by calling tools.\n"
    rules = [f"{count}. {_filled(draw, draw.choice(_RULES))}" for count in range(1, _SYSTEM_RULES + 1)]
    return head + "\n".join(rules)


def tools() -> list[dict[str, Any]]:
    """The tools, always the same."""
    draw = random.Random("tools")
    return [_tool(draw, verb, record) for record in _RECORDS for verb in _VERBS]


def _tool(draw: random.Random, verb: str, record: str) -> dict[str, Any]:
    properties = {
        "number": {
            "type": "integer",
            "minimum": 1000,
            "maximum": 9999,
            "description": f"Number of the {record}.",
        },
        "region": {"type": "string", "enum": list(_REGIONS)},
        "state": {"type": "string", "enum": list(_STATES)},
    }
    function = {
        "name": f"{verb}_{record}",
        "description": f"{verb.capitalize()} one {record}. {_filled(draw, _RULES[3])}",
        "parameters": {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        },
    }
    return {"type": "function", "function": function}


def result(seed: str, turn: int) -> str:
    """What the call of a turn returns: about 150 tokens, other ones each turn."""
    draw = random.Random(f"{seed}/{turn}")
    return "\n".join(_filled(draw, line) for line in itertools.islice(itertools.cycle(_RESULT_FORMS), _RESULT_LINES))


def _filled(draw: random.Random, line: str) -> str:
    state, other = draw.sample(_STATES, 2)
    return line.format(
        area=draw.choice(_AREAS),
        channel=draw.choice(_CHANNELS),
        detail=draw.choice(_DETAILS),
        number=draw.randrange(1000, 10000),
        other=other,
        period=draw.choice(_PERIODS),
        record=draw.choice(_RECORDS),
        region=draw.choice(_REGIONS),
        state=state,
        team=draw.choice(_TEAMS),
    )
