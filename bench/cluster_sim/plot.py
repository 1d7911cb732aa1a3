"""A plot of the results as SVG: hit rate and p99 queueing by the number of replicas, a line for each policy. Pure."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from bench.cluster_sim.cells import POLICIES, Result, mean
from bench.cluster_sim.figures import Figures

_COLORS = ("#999999", "#d08000", "#7050b0", "#0068b8")
_WIDTH, _HEIGHT, _LEFT, _TOP, _PLOT_WIDTH, _PLOT_HEIGHT = 860, 330, 56, 50, 350, 220
_STYLE = "text{font:13px sans-serif;fill:#222}.t{font-weight:bold}.g{stroke:#ddd}.l{fill:none;stroke-width:2.5}"


class _Panel(NamedTuple):
    title: str
    value: Callable[[Figures], float]
    ticks: tuple[float, ...]
    scale: Callable[[float], float]
    """From a value to its height: 0 at the bottom, 1 at the top."""


def _log_scale(value: float) -> float:
    return math.log10(max(value, 0.1) / 0.1) / 3


_PANELS = (
    _Panel("Hit rate of the prefix cache", lambda each: each.hit_rate, (0, 0.2, 0.4, 0.6, 0.8, 1), lambda y: y),
    _Panel("Queueing p99, seconds", lambda each: each.queue_p99_s, (0.1, 1, 10, 100), _log_scale),
)


def svg(results: Sequence[Result], load: float) -> str:
    """Return the plot of the steady cells with this load."""
    chosen = [each for each in results if not each.event and each.load == load]
    replicas = sorted({each.replicas for each in chosen})
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        f"<title>Routing policies by number of replicas, load {load:g}</title>",
        f'<style>{_STYLE}</style><rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
    ]
    for number, panel in enumerate(_PANELS):
        parts += _panel(panel, _LEFT + number * (_PLOT_WIDTH + 70), chosen, replicas)
    for number, (policy, color) in enumerate(zip(POLICIES, _COLORS, strict=True)):
        x = _LEFT + number * 170
        parts.append(f'<path d="M{x} 316h24" class="l" stroke="{color}"/><text x="{x + 30}" y="320">{policy}</text>')
    parts.append(f'<text x="{_WIDTH - 34}" y="320" text-anchor="end">by replicas, load {load:g}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(panel: _Panel, left: int, results: Sequence[Result], replicas: Sequence[int]) -> list[str]:
    bottom = _TOP + _PLOT_HEIGHT
    parts = [f'<text class="t" x="{left}" y="30">{panel.title}</text>']
    for tick in panel.ticks:
        y = bottom - panel.scale(tick) * _PLOT_HEIGHT
        parts.append(f'<path class="g" d="M{left} {y:.1f}h{_PLOT_WIDTH}"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    places = {count: left + number * _PLOT_WIDTH / max(len(replicas) - 1, 1) for number, count in enumerate(replicas)}
    for count, x in places.items():
        parts.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{count:,}</text>')
    for policy, color in zip(POLICIES, _COLORS, strict=True):
        points = []
        for count, x in places.items():
            of_cell = [each.figures for each in results if each.replicas == count and each.policy == policy]
            points.append((x, bottom - panel.scale(panel.value(mean(of_cell))) * _PLOT_HEIGHT))
        parts += [
            f'<path class="l" stroke="{color}" d="M{x:.1f} {y:.1f}L{next_x:.1f} {next_y:.1f}"/>'
            for (x, y), (next_x, next_y) in pairwise(points)
        ]
    return parts
