"""How many replicas a model should have: a pure policy of limits, demand and time. Knows nothing of Ray or nodes."""

import math
from collections import deque

import msgspec

from homeport.domain.clusters import ScalingLimits


class ScalingPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How demand becomes replicas. Times are in seconds.

    `load`: the share of a replica's slots that should be used; the rest absorbs bursts while a new replica loads.
    `down_s`: a replica is removed when none was needed for it for so long; `zero_s` is that time for the last one.
    """

    load: float = 0.7
    down_s: float = 60.0
    zero_s: float = 300.0


class Scaler:
    """The number of replicas of one model over time. It grows at once and shrinks late, since loading takes long."""

    def __init__(self, limits: ScalingLimits, policy: ScalingPolicy) -> None:
        self.limits = limits
        self._policy = policy
        self._needs: deque[tuple[float, int]] = deque()
        self._used_at = -math.inf

    def target(self, demand: int, slots: int, now: float) -> int:
        """Return the wanted number of replicas. `demand`: requests that run or wait; `slots`: of one replica."""
        limits, policy = self.limits, self._policy
        needed = math.ceil(demand / max(1.0, slots * policy.load))
        if demand:
            self.use(now)
        while self._needs and self._needs[0][0] <= now - policy.down_s:
            self._needs.popleft()
        while self._needs and self._needs[-1][1] <= needed:  # the later, larger need outlives it
            self._needs.pop()
        self._needs.append((now, needed))
        recent = self._needs[0][1]
        floor = 1 if now - self._used_at < policy.zero_s else 0
        return min(limits.max_replicas, max(limits.min_replicas, recent, floor))

    def use(self, now: float) -> None:
        """Note that the model is wanted now, so that it has at least one replica for a while."""
        self._used_at = now
