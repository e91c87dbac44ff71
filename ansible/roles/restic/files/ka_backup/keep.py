"""What of the repositories is kept, and what goes.

Hosts write snapshots, and one that is in the wrong hands writes any date into them. So a snapshot's age is
told by when it came here as well, and where the two differ, or what belongs to it is not known, it is kept.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from ka_backup.restic import Snapshot
from ka_backup.wal import spool_of

# By how much hosts' clocks may differ, and a base backup may have begun before what it needs.
MARGIN = timedelta(hours=1)
FUTURE = timedelta(days=1)
BASE, SET, WAL, CLOSED, WHOLE, NEW = "base", "set", "wal", "wal-closed", "objects", "objects-new"


@dataclass(frozen=True)
class Policy:
    """All bases of so many ``days``, then the last of so many days and weeks that have one; WAL in hours."""

    days: int = 7
    daily: int = 14
    weekly: int = 8
    wal_hours: int = 2


@dataclass(frozen=True)
class Held:
    """A snapshot of a repository, and when it arrived there."""

    repository: str
    snapshot: Snapshot
    arrived: datetime

    def tagged(self, tag: str) -> bool:
        """Whether it was saved as that."""
        return tag in self.snapshot.tags

    def oldest(self) -> datetime:
        """It is no older than this."""
        return min(self.snapshot.time, self.arrived)

    def newest(self, now: datetime) -> datetime:
        """It is no newer than this; a date that is still to come is not believed."""
        if self.snapshot.time > now + FUTURE:
            return self.arrived
        return max(self.snapshot.time, self.arrived)


def forget(held: Iterable[Held], policy: Policy, now: datetime) -> list[Held]:
    """Those that go, oldest first; those of unknown tags never do."""
    all_of = list(held)
    gone = set(superseded(all_of, policy, now))
    bases = [each for each in all_of if each.tagged(BASE)]
    sets = [each for each in all_of if each.tagged(SET)]
    belongs = {each: _base_of(each, bases) for each in sets}
    kept = set(_scheduled(bases, policy, now, set(belongs.values())))
    gone |= set(bases) - kept
    gone |= {each for each, base in belongs.items() if base is not None and base not in kept}
    gone |= _older(all_of, CLOSED, kept)
    gone |= _older(_former(all_of, now), WAL, kept)
    for name in {each.repository for each in all_of}:
        own = [each for each in all_of if each.repository == name]
        whole = [each for each in own if each.tagged(WHOLE)]
        lasting = set(_scheduled(whole, policy, now, set(whole)))
        gone |= set(whole) - lasting
        gone |= _older(own, NEW, lasting)
    return sorted(gone, key=lambda each: (each.repository, each.snapshot.time, each.snapshot.id))


def superseded(held: Iterable[Held], policy: Policy, now: datetime) -> list[Held]:
    """Copies of the spool that newer ones hold as well; the newest of each spool always stays."""
    wal = [each for each in held if each.tagged(WAL)]
    last = set(_last(wal, now))
    since = now - timedelta(hours=policy.wal_hours)
    return [each for each in wal if each.newest(now) < since and each not in last]


def _former(held: list[Held], now: datetime) -> list[Held]:
    """The last of spools that are no more."""
    last = _last([each for each in held if each.tagged(WAL)], now)
    newest = {
        name: max((each for each in last if each.repository == name), key=lambda each: each.newest(now))
        for name in {each.repository for each in last}
    }
    return [each for each in last if each != newest[each.repository]]


def _last(wal: list[Held], now: datetime) -> list[Held]:
    """The newest of each spool; a host has another one once its disk was lost."""
    by_spool: dict[tuple[str, str], Held] = {}
    for each in sorted(wal, key=lambda each: each.newest(now)):
        by_spool[each.repository, spool_of(each.snapshot.tags)] = each
    return list(by_spool.values())


def _scheduled(
    held: list[Held], policy: Policy, now: datetime, whole: Container[Held | None]
) -> Iterable[Held]:
    """All of the last days, the newest, and the last that is whole of each day and week."""
    ordered = sorted(held, key=lambda each: each.newest(now), reverse=True)
    since = now - timedelta(days=policy.days)
    yield from (each for each in ordered if each.newest(now) >= since)
    yield from ordered[:1]
    good = [each for each in ordered if each in whole]
    for count, period in ((policy.daily, "%Y-%m-%d"), (policy.weekly, "%G-%V")):
        seen: list[str] = []
        for each in good:
            name = each.newest(now).strftime(period)
            if name not in seen and len(seen) < count:
                seen.append(name)
                yield each


def _base_of(one: Held, bases: list[Held]) -> Held | None:
    """The base of a set: the last before it in its repository."""
    before = [
        base
        for base in bases
        if base.repository == one.repository and base.snapshot.time <= one.snapshot.time
    ]
    return max(before, key=lambda base: base.snapshot.time, default=None)


def _older(held: list[Held], tag: str, kept: set[Held]) -> set[Held]:
    """Those of the tag that came before all that is kept; none, where nothing is."""
    if not kept:
        return set()
    since = min(each.oldest() for each in kept) - MARGIN
    return {each for each in held if each.tagged(tag) and max(each.snapshot.time, each.arrived) < since}
