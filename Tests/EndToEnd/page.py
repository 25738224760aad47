"""A page of metrics, and the laws that hold between its numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping

PREFIX = "sandbox_manager_"
# What a counter in the text format is called, histograms' parts included.
_CUMULATIVE = re.compile(r"_(total|count|sum|bucket)$")
_SAMPLE = re.compile(r"^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'([A-Za-z_]\w*)="((?:\\.|[^"\\])*)"')

Series = tuple[str, tuple[tuple[str, str], ...]]


class Page:
    """The samples of one scrape."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples: dict[Series, float] = {}
        for line in text.splitlines():
            if not line or line.startswith("#"):
                continue
            found = _SAMPLE.match(line)
            assert found is not None, f"not a sample: {line}"
            series = (found[1], tuple(sorted(_LABEL.findall(found[2] or ""))))
            assert series not in self.samples, f"twice on one page: {series}"
            self.samples[series] = float(found[3])

    def sum(self, name: str, **labels: str) -> float:
        """The sum over all series of a metric (without prefix) with these labels; fails if there is none."""
        found = self.by(name, **labels)
        assert found, f"no series of {name} with {labels}"
        return sum(found.values())

    def by(self, name: str, **labels: str) -> dict[tuple[tuple[str, str], ...], float]:
        """The series of a metric (without prefix) that carry these labels."""
        wanted = set(labels.items())
        full = name if name.startswith("process_") else PREFIX + name
        return {series[1]: value for series, value in self.samples.items() if series[0] == full and wanted <= set(series[1])}

    def values(self, name: str, label: str) -> dict[str, float]:
        """The values of a metric with one label, by that label."""
        return {dict(labels)[label]: value for labels, value in self.by(name).items()}

    def cumulative(self) -> dict[Series, float]:
        """Every series that must never fall."""
        return {series: value for series, value in self.samples.items() if _CUMULATIVE.search(series[0])}


def operation_counts(page: Page) -> tuple[dict[str, float], dict[str, float]]:
    """Per operation: the sum of operations_total, and the count of the duration histogram."""
    totals: dict[str, float] = {}
    for labels, value in page.by("operations_total").items():
        operation = dict(labels)["operation"]
        totals[operation] = totals.get(operation, 0) + value
    return totals, page.values("operation_duration_seconds_count", "operation")


def broken_gauge_laws(page: Page) -> list[str]:
    """Laws between gauges of one snapshot: they hold at every moment, under load too."""
    entries = page.values("collection_entries", "collection")
    broken = []
    if page.sum("user_locks") != entries["user_locks"]:
        broken.append(f"user_locks {page.sum('user_locks')} != its collection {entries['user_locks']}")
    if page.sum("leases") != entries["leases"]:
        broken.append(f"leases {page.sum('leases')} != their collection {entries['leases']}")
    if page.sum("store_mode") != 1 or set(page.by("store_mode").values()) != {0, 1}:
        broken.append(f"not one store mode: {page.by('store_mode')}")
    for upstream in ("provider", "store"):
        states = page.by("breaker_state", upstream=upstream)
        if sorted(states.values()) != [0, 0, 1]:
            broken.append(f"not one state of the breaker: {states}")
    if page.sum("user_locks", state="idle") != 0:
        broken.append(f"idle user locks: {page.sum('user_locks', state='idle')}")
    slots = page.sum("slots_in_use", scope="total")
    if slots > page.sum("slots_limit", scope="total"):
        broken.append(f"slots in use above the limit: {slots}")
    for name, limit in page.values("collection_limit_entries", "collection").items():
        if entries[name] > limit:
            broken.append(f"{name}: {entries[name]} entries, limit {limit}")
    return broken


def broken_quiet_laws(page: Page) -> list[str]:
    """Laws between counters, which are read one after the other: exact only while nothing moves."""
    broken = broken_gauge_laws(page)
    totals, counts = operation_counts(page)
    if totals != counts:
        different = {name: (totals.get(name), counts.get(name)) for name in totals | counts if totals.get(name) != counts.get(name)}
        broken.append(f"operations_total and operation_duration_seconds_count differ: {different}")
    served = page.sum("acquires_total")
    ok = page.sum("operations_total", operation="acquire", result="ok")
    if served != ok:
        broken.append(f"acquires_total {served} != acquires that succeeded {ok}")
    made, removed = page.sum("user_locks_created_total"), page.sum("user_locks_removed_total")
    if made - removed != page.sum("user_locks"):
        broken.append(f"user locks: {made} made - {removed} removed != {page.sum('user_locks')}")
    return broken


def crossed(earlier: Page, later: Page) -> list[str]:
    """Laws between two scrapes: nothing cumulative falls, no series vanishes, and books kept twice do not drift.

    Two counters of the same event are read at different moments of one scrape; but what either had counted by the
    earlier scrape, the other has counted by the later one.
    """
    broken = [f"vanished: {series}" for series in earlier.samples.keys() - later.samples.keys()]
    before = earlier.cumulative()
    for series, value in later.cumulative().items():
        if value < before.get(series, 0):
            broken.append(f"fell from {before[series]} to {value}: {series}")
    totals, counts = operation_counts(later)
    for operation, count in operation_counts(earlier)[1].items():
        if totals[operation] < count:
            broken.append(f"{operation}: {count} durations, later only {totals[operation]} results")
    for operation, total in operation_counts(earlier)[0].items():
        if counts[operation] < total:
            broken.append(f"{operation}: {total} results, later only {counts[operation]} durations")
    return broken


def differences(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, tuple[float | None, float | None]]:
    """What is not the same in both."""
    return {
        name: (before.get(name), after.get(name)) for name in before | dict(after) if before.get(name) != after.get(name)
    }
