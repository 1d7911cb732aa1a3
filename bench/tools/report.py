"""Verdicts as Markdown: totals by category, and the comparison of two sides. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence

from bench.tools import judge
from bench.tools.cases import Case
from bench.tools.judge import Answer, Verdict

_WORST_P = 0.05


def verdicts(cases: Sequence[Case], answers: Sequence[Answer]) -> list[Verdict]:
    """Judge the answers, in the order of the cases; a case without answer counts as failed."""
    found = {each.id: each for each in answers}
    return [judge.verdict(case, found.get(case.id) or Answer(case.id, failure="not asked")) for case in cases]


def totals(cases: Sequence[Case], sides: Mapping[str, Sequence[Answer]]) -> list[str]:
    """The table: for each side and category the number of cases, well-formed and right ones, and what was wrong."""
    lines = ["| side | category | cases | well-formed | right | not well-formed, by flaw | cut by length |"]
    lines.append("|---|---|---|---|---|---|---|")
    category = {case.id: case.category for case in cases}
    for side, answers in sides.items():
        judged = verdicts(cases, answers)
        cut = {each.id for each in answers if each.finish == "length"}
        lines.append(_line(side, "all", judged, cut))
        for each in sorted(set(category.values())):
            lines.append(_line(side, each, [one for one in judged if category[one.id] == each], cut))
    return lines


def _line(side: str, category: str, judged: Sequence[Verdict], cut: set[str]) -> str:
    flaws = Counter(each.flaw for each in judged if each.flaw)
    well_formed = len(judged) - flaws.total()
    named = ", ".join(f"{flaw} {count}" for flaw, count in flaws.most_common()) or "–"
    right = sum(each.is_right for each in judged)
    cells = (side, category, len(judged), well_formed, right, named, sum(each.id in cut for each in judged))
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def comparison(cases: Sequence[Case], ours: Sequence[Answer], theirs: Sequence[Answer]) -> str:
    """The sign test as a sentence."""
    test = judge.sign_test(verdicts(cases, ours), verdicts(cases, theirs))
    outcome = "ours is worse" if test.p_worse < _WORST_P else "ours is not worse"
    return (
        f"Right on one side alone: ours {test.ours_alone}, theirs {test.theirs_alone}; paired sign test: "
        f"p = {test.p_worse:.3f} (one-sided, worse), {test.p_differs:.3f} (two-sided): {outcome} at the 5 % level."
    )
