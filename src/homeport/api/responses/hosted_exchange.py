"""A call of a hosted tool with its result, as a model reads them. A value only."""

from typing import NamedTuple


class HostedExchange(NamedTuple):
    """A call and its result, as the model reads them.

    `name`: the function as the model sees it; `arguments`: the JSON of an object; `result`: text.
    """

    name: str
    arguments: str
    result: str
