"""What handlers work with."""

from dataclasses import replace

import msgspec

from homeport.domain.models import Gauges, Resolved
from tests.api.fakes import FakeServing, installed, loaded, services


def test_fingerprint_names_all_that_computes() -> None:
    """The fingerprint stays while nothing changes, and changes with weights, kernels and version."""
    serving = FakeServing()
    house, model = services(serving), installed("tiny")
    resolved = Resolved("tiny", model)
    serving.running["tiny"] = (loaded("tiny"), Gauges())
    first = house.fingerprint(resolved)
    assert first == house.fingerprint(resolved)
    others = {replace(house, version="9").fingerprint(resolved)}
    others.add(house.fingerprint(Resolved("tiny", msgspec.structs.replace(model, digest="other"))))
    others.add(house.fingerprint(Resolved("ft", model, tuned=installed("ft"))))
    serving.running["tiny"] = (msgspec.structs.replace(loaded("tiny"), kernels="faster"), Gauges())
    others.add(house.fingerprint(resolved))
    assert len(others | {first}) == 5
