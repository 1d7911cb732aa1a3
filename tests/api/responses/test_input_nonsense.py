"""Any JSON as an item or a tool is read, or is refused; nothing else happens."""

import copy
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.api.responses.history import to_messages
from homeport.api.responses.items import ITEM_TYPES, from_stored, resolve_references, to_stored
from homeport.api.responses.tools import to_tools
from homeport.domain.errors import InvalidRequest, NotFound
from tests.api.responses.item_values import raw, read, unseal
from tests.api.responses.test_items import RETURNED
from tests.api.responses.test_tools import ALL

LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8))
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner), max_leaves=6
)
NAMES = sorted({name for kind in ITEM_TYPES.values() for name in kind.__struct_fields__})
WORDS = st.sampled_from([*ITEM_TYPES, "user", "input_text", "input_file", "c", "f", "sealed:x", "incomplete"])


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return each container inside a value with each of its keys."""
    keys = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, inner in keys for place in ((value, key), *places(inner))]


@st.composite
def changed(draw: st.DrawFn, values: list[Any]) -> Any:
    """Draw one of these values with one part of it replaced or added."""
    value = copy.deepcopy(draw(st.sampled_from(values)))
    container, key = draw(st.sampled_from(places(value)))
    if isinstance(container, dict) and draw(st.booleans()):
        key = draw(st.sampled_from(NAMES))
    container[key] = draw(JSON | WORDS)
    return value


ITEMS = [json.loads(json.dumps(sent)) for pair in RETURNED for sent in pair]


@settings(max_examples=300)
@given(st.lists(changed(ITEMS) | JSON, max_size=3))
def test_any_item_is_read_or_refused(values: list[Any]) -> None:
    """Input with any change is an error that names a field, or becomes messages, the same after it was stored."""
    fault = None
    try:
        items = resolve_references(read(*values), lambda _: ())
        stored = to_stored(items)
        messages = to_messages("i", items, unseal)
    except (InvalidRequest, NotFound) as error:
        fault = error
    if fault is not None:
        assert fault.param
        assert len(fault.message) < 900
        return
    assert to_messages("i", from_stored(stored), unseal) == messages
    for item in stored:
        assert json.loads(item.body)["id"] == item.id


@settings(max_examples=300)
@given(
    st.lists(changed(list(ALL)) | JSON, max_size=2),
    JSON | changed([ALL[0], {"type": "allowed_tools", "mode": "auto", "tools": [ALL[0]]}]),
)
def test_any_tool_is_read_or_refused(tools: list[Any], choice: Any) -> None:
    """Tools with any change are an error that names a field, or have a target for each name of the model."""
    fault = None
    try:
        use, targets, echo, *_ = to_tools(raw(*tools), choice)
    except InvalidRequest as error:
        fault = error
    if fault is not None:
        assert fault.param
        return
    assert list(targets) == [tool.name for tool in use.tools] if use else not targets
    assert len(echo) == len(tools)
