"""What became of requests, and what that means taken together."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

Verdict = Literal["ok", "refused", "failed", "wrong"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request.

    ``at`` is the moment it was meant to be sent (``time.monotonic()``), ``seconds`` the time from then until
    its answer was complete, ``status`` 0 if there was none. ``verdict``: refused is an honest 503 or 429 that
    says when to come again; wrong is an answer that is none. ``degraded``: it says that it could be better.
    """

    kind: str
    at: float
    seconds: float
    status: int
    verdict: Verdict
    detail: str = ""
    degraded: bool = False

    @property
    def done(self) -> float:
        """The moment of the answer."""
        return self.at + self.seconds


class Outcomes:
    """Figures of many requests; ``kind`` narrows them to one kind."""

    def __init__(self, found: Iterable[Outcome]) -> None:
        self.all = list(found)

    def of(self, *kinds: str) -> list[Outcome]:
        """Those of some kinds, or all."""
        return [one for one in self.all if not kinds or one.kind in kinds]

    def count(self, *kinds: str) -> Counter[Verdict]:
        """How many got which verdict."""
        return Counter(one.verdict for one in self.of(*kinds))

    def share_ok(self, *kinds: str) -> float:
        """Share that got a right answer; 1 for no requests."""
        found = self.of(*kinds)
        return sum(one.verdict == "ok" for one in found) / len(found) if found else 1.0

    def troubles(self, *kinds: str) -> Counter[str]:
        """What went wrong how often, with the kind of request."""
        return Counter(
            f"{one.kind} {one.verdict}: {one.status or 'no answer'} {one.detail}".strip()
            for one in self.of(*kinds)
            if one.verdict != "ok"
        )

    def gap(self, *kinds: str) -> float:
        """Longest time in seconds between two right answers in a row."""
        moments = sorted(one.done for one in self.of(*kinds) if one.verdict == "ok")
        return max((later - earlier for earlier, later in pairwise(moments)), default=math.inf)

    def quantile(self, share: float, *kinds: str) -> float:
        """Seconds within which this share of the right answers came, counted from when they were due."""
        seconds = sorted(one.seconds for one in self.of(*kinds) if one.verdict == "ok")
        return seconds[min(len(seconds) - 1, math.ceil(share * len(seconds)) - 1)] if seconds else math.inf

    def summary(self) -> dict[str, dict[str, float]]:
        """Per kind: requests, each verdict, degraded, seconds at the 50th, 95th and 99th percentile."""
        return {
            kind: {
                "requests": len(self.of(kind)),
                **{verdict: self.count(kind)[verdict] for verdict in get_args(Verdict)},
                "degraded": sum(one.degraded for one in self.of(kind)),
                "p50": round(self.quantile(0.5, kind), 4),
                "p95": round(self.quantile(0.95, kind), 4),
                "p99": round(self.quantile(0.99, kind), 4),
            }
            for kind in sorted({one.kind for one in self.all})
        }
