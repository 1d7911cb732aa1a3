from typing import cast

import pytest

from bench.processes import Child
from bench.rounds import Side, alternate
from bench.run_stats import Outcome
from bench.workload import Workload

WORK = Workload("work", requests=1)


class _Child:
    def __init__(self, name: str, diary: list[str]) -> None:
        self.name, self.diary, self.spent_s = name, diary, 0.0

    def resume(self) -> None:
        self.diary.append(f"+{self.name}")

    def cpu_s(self) -> float:
        return 0.0

    def main_cpu_s(self) -> float:
        """A tenth of a second more at each call."""
        self.spent_s += 0.1
        return self.spent_s

    def pause(self) -> None:
        self.diary.append(f"-{self.name}")


class _Side:
    def __init__(self, name: str, speed: float, diary: list[str]) -> None:
        self.child = cast(Child, _Child(name, diary))
        self.speed = speed

    def measure(self, work: Workload, turn: int) -> Outcome:
        assert work is WORK
        return Outcome(1.0, int(self.speed), 0, [float(turn)], [])


def _sides(**speeds: float) -> tuple[dict[str, Side], list[str]]:
    diary: list[str] = []
    return {name: _Side(name, speed, diary) for name, speed in speeds.items()}, diary


def test_sides_take_turns_and_only_one_runs() -> None:
    """Each side is resumed and paused before the next one; the order is reversed every other round."""
    sides, diary = _sides(a=10, b=20)
    runs_by_side = alternate(sides, WORK, rounds=2)
    assert diary == ["+a", "-a", "+b", "-b", "+b", "-b", "+a", "-a"]
    assert [run.ttft_s for run in runs_by_side["a"]] == [[0.0], [1.0]]


def test_runs_have_cpu_times() -> None:
    """The main process's CPU time is measured between the start and the end of a run."""
    sides, _ = _sides(a=10)
    [run] = alternate(sides, WORK, rounds=1)["a"]
    assert run.cpu_per_token_s == pytest.approx(0.01)
    assert run.others >= 0.0


def test_a_beaten_rival_is_left_out() -> None:
    """A rival far slower than the best is measured once; other sides are measured in every round."""
    sides, _ = _sides(ours=1, fast=100, near=90, far=79)
    runs_by_side = alternate(sides, WORK, rounds=3, rivals=("fast", "near", "far"))
    assert {name: len(runs) for name, runs in runs_by_side.items()} == {"ours": 3, "fast": 3, "near": 3, "far": 1}


def test_a_side_is_paused_if_its_run_fails() -> None:
    """A side whose run fails is paused, so that it uses no CPU."""
    sides, diary = _sides(a=10)
    try:
        alternate(sides, Workload("another", requests=1), rounds=1)
    except AssertionError:
        assert diary == ["+a", "-a"]
    else:
        raise AssertionError("the run should have failed")
