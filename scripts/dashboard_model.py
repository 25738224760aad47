"""Grafana boards as data: panels in, dashboard JSON out. Knows the layout and the rules that every panel shares.

Queries are built with `selector`, `rate` and `increase`, so that none lacks the job and instance variables. The panels
themselves are in make-dashboards.py; check-dashboards.py judges the result without trusting this module.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

PREFIX = "sandbox_manager_"
SCOPE = 'job=~"$job", instance=~"$instance"'
REPOSITORY = "https://github.com/sandbox-manager/sandbox-manager/blob/main"
DATA_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS = 24
TAG = "sandbox-manager"


# Queries


def selector(metric: str, matchers: str = "") -> str:
    """The metric within the chosen jobs and instances; the prefix is added to names of the daemon's own."""
    own = not metric.startswith("process_") and ":" not in metric and metric not in ("up", "ALERTS")
    return f"{PREFIX if own else ''}{metric}{{{SCOPE}{', ' if matchers else ''}{matchers}}}"


def rate(metric: str, matchers: str = "") -> str:
    """Events a second."""
    return f"rate({selector(metric, matchers)}[$__rate_interval])"


def increase(metric: str, matchers: str = "") -> str:
    """Events in the whole range that is shown."""
    return f"increase({selector(metric, matchers)}[$__range])"


def total(by: str, expression: str) -> str:
    """The sum by some labels; by none if `by` is empty."""
    return f"sum by ({by}) ({expression})" if by else f"sum({expression})"


def greatest(by: str, expression: str) -> str:
    """The greatest by some labels."""
    return f"max by ({by}) ({expression})"


def quantile(share: float, metric: str, by: str = "", matchers: str = "") -> str:
    """A quantile of a histogram, by some labels."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, {total(labels, rate(metric + '_bucket', matchers))})"


# Panels


@dataclass(frozen=True)
class Panel:
    """One panel: what it asks, what to do about the answer, and the queries with their legends."""

    kind: str
    title: str
    unit: str
    question: str
    advice: str
    queries: Sequence[tuple[str, str]]
    width: int = 8
    # Alerts whose runbooks the panel links to.
    alerts: Sequence[str] = ()
    # Thresholds that are drawn; each is that of an alert, or explained in the advice.
    lines: Sequence[float] = ()
    stacked: bool = False
    # For sizes beside limits that are thousands of times as large: small ones keep their shape.
    symlog: bool = False
    # Overrides of fieldConfig.defaults; None removes.
    custom: dict[str, Any] = field(default_factory=dict)

    @property
    def height(self) -> int:
        """Rows of the grid."""
        return 4 if self.kind == "stat" else 8

    def json(self, x: int, y: int) -> dict[str, Any]:
        """The panel as Grafana reads it."""
        steps = [{"color": "green", "value": None}] + [{"color": "red", "value": line} for line in self.lines]
        defaults: dict[str, Any] = {
            "unit": self.unit,
            "color": {"mode": "thresholds" if self.kind == "stat" else "palette-classic"},
            "thresholds": {"mode": "absolute", "steps": steps},
            "noValue": "no data",
            "custom": self._drawing(),
        }
        if self.kind != "heatmap":
            # On an axis that does not begin at 0, noise looks like a landslide.
            defaults["min"] = 0
        defaults = {name: value for name, value in (defaults | self.custom).items() if value is not None}
        return {
            "id": panel_id(self.kind, self.title),
            "type": self.kind,
            "title": self.title,
            "description": f"{self.question} {self.advice}",
            "datasource": DATA_SOURCE,
            "gridPos": {"h": self.height, "w": self.width, "x": x, "y": y},
            "links": [_runbook_link(alert) for alert in self.alerts],
            "targets": [self._target(index, *query) for index, query in enumerate(self.queries)],
            "fieldConfig": {"defaults": defaults, "overrides": []},
            "options": self._options(),
        }

    def _target(self, index: int, expression: str, legend: str) -> dict[str, Any]:
        shape = {"heatmap": "heatmap", "table": "table"}.get(self.kind, "time_series")
        instant = self.kind in ("stat", "table")
        return {
            "refId": chr(ord("A") + index),
            "datasource": DATA_SOURCE,
            "editorMode": "code",
            "expr": expression,
            "legendFormat": legend,
            "format": shape,
            "instant": instant,
            "range": not instant,
        }

    def _drawing(self) -> dict[str, Any]:
        if self.kind != "timeseries":
            return {}
        scale = {"scaleDistribution": {"type": "symlog", "log": 10, "linearThreshold": 1}} if self.symlog else {}
        return scale | {
            "drawStyle": "line",
            "lineWidth": 1,
            "fillOpacity": 20 if self.stacked else 0,
            "showPoints": "never",
            "spanNulls": False,
            "stacking": {"mode": "normal" if self.stacked else "none", "group": "A"},
            "thresholdsStyle": {"mode": "line" if self.lines else "off"},
        }

    def _options(self) -> dict[str, Any]:
        match self.kind:
            case "heatmap":
                return {
                    "calculate": False,
                    "cellGap": 1,
                    "color": {"mode": "scheme", "scheme": "Spectral", "steps": 64, "exponent": 0.5, "reverse": False},
                    "yAxis": {"unit": self.unit, "axisPlacement": "left"},
                    "cellValues": {"unit": "ops"},
                    "rowsFrame": {"layout": "auto"},
                    "tooltip": {"mode": "single", "yHistogram": True},
                    "legend": {"show": True},
                }
            case "stat":
                return {
                    "colorMode": "value",
                    "graphMode": "none",
                    "textMode": "auto",
                    "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
                }
            case "table":
                return {"showHeader": True, "cellHeight": "sm"}
            case _:
                legend = {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["lastNotNull"]}
                return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}


def panel_id(kind: str, title: str) -> int:
    """A number that stays when panels come and go: alerts link to it (`viewPanel`)."""
    return zlib.crc32(f"{'row' if kind == 'row' else 'panel'} {title}".encode()) % 1_000_000 + 1


def series(title: str, unit: str, question: str, advice: str, *queries: tuple[str, str], **more: Any) -> Panel:
    """Lines over time."""
    return Panel("timeseries", title, unit, question, advice, queries, **more)


def stat(title: str, unit: str, question: str, advice: str, *queries: tuple[str, str], **more: Any) -> Panel:
    """A number."""
    return Panel("stat", title, unit, question, advice, queries, **({"width": 4} | more))


def table(title: str, question: str, advice: str, *queries: tuple[str, str], **more: Any) -> Panel:
    """A table of labels."""
    return Panel("table", title, "none", question, advice, queries, **more)


def histogram(
    name: str, metric: str, question: str, advice: str, by: str = "", alerts: Sequence[str] = (), width: int = 8
) -> list[Panel]:
    """A histogram whole: p50, p95 and p99, a heatmap, and p95 by a label if one is given."""
    quantiles = [(quantile(share, metric), f"p{share * 100:g}") for share in (0.5, 0.95, 0.99)]
    cells = [(total("le", rate(metric + "_bucket")), "{{le}}")]
    panels = [
        series(f"{name}: quantiles", "s", question, advice, *quantiles, alerts=alerts, width=width),
        Panel(
            "heatmap",
            f"{name}: distribution",
            "s",
            f"{question[:-1]}, case by case?",
            "Two bands are two kinds of cases: look for the label that tells them apart; one tail is queueing.",
            cells,
            width=width,
        ),
    ]
    if by:
        slowest = (quantile(0.95, metric, by), f"{{{{{by}}}}}")
        advice_by = f"Begin with the {by} that moved when the whole did."
        question_by = f"{question[:-1]}, by {by} (p95)?"
        panels.append(series(f"{name}: p95 by {by}", "s", question_by, advice_by, slowest, alerts=alerts, width=width))
    return panels


# Boards


@dataclass(frozen=True)
class Board:
    """One dashboard: rows of panels, in the order in which they are read."""

    uid: str
    title: str
    description: str
    rows: Sequence[tuple[str, Iterable[Panel]]]
    siblings: Sequence[tuple[str, str]]
    span: str = "now-3h"

    def json(self) -> dict[str, Any]:
        """The board as Grafana reads it."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": [TAG],
            "schemaVersion": 39,
            "version": 1,
            "editable": False,
            "graphTooltip": 1,
            "timezone": "browser",
            "refresh": "30s",
            "time": {"from": self.span, "to": "now"},
            "links": [_link(title, f"/d/{uid}", keeps=True) for uid, title in self.siblings]
            + [_link("Runbooks", f"{REPOSITORY}/alerts/runbooks", keeps=False)],
            "templating": {"list": _variables()},
            "annotations": {"list": _annotations()},
            "panels": self._panels(),
        }

    def _panels(self) -> list[dict[str, Any]]:
        result: list[dict[str, Any]] = []
        y = 0
        for title, panels in self.rows:
            place = {"h": 1, "w": COLUMNS, "x": 0, "y": y}
            row = {"id": panel_id("row", title), "type": "row", "title": title, "gridPos": place}
            result.append(row | {"collapsed": False, "panels": []})
            y += 1
            x = tallest = 0
            for panel in panels:
                if x + panel.width > COLUMNS:
                    x, y, tallest = 0, y + tallest, 0
                result.append(panel.json(x, y))
                x, tallest = x + panel.width, max(tallest, panel.height)
            y += tallest
        return result


def _variables() -> list[dict[str, Any]]:
    common = {"hide": 0, "skipUrlSync": False, "regex": ""}
    source = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1}

    def values(name: str, label: str, query: str) -> dict[str, Any]:
        return common | {
            "name": name,
            "label": label,
            "type": "query",
            "datasource": DATA_SOURCE,
            "query": query,
            "definition": query,
            "refresh": 2,
            "sort": 1,
            "multi": True,
            "includeAll": True,
            "allValue": ".+",
            "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        }

    info = f"{PREFIX}build_info"
    return [
        common | source | {"multi": False, "includeAll": False},
        values("job", "Job", f"label_values({info}, job)"),
        values("instance", "Instance", f'label_values({info}{{job=~"$job"}}, instance)'),
    ]


def _annotations() -> list[dict[str, Any]]:
    build = selector("build_info")
    # A build that its instance did not run five minutes ago; the hour bridges failed scrapes.
    deploys = f"{build} unless on (job, instance, version, revision) last_over_time({build}[1h] offset 5m)"
    firing = selector("ALERTS", 'alertname=~"SandboxManager.+", alertstate="firing"')
    return [
        {
            "name": "Deploys",
            "enable": True,
            "iconColor": "blue",
            "datasource": DATA_SOURCE,
            "expr": deploys,
            "titleFormat": "Deploy of {{version}}",
            "textFormat": "{{instance}} runs {{version}}, revision {{revision}}",
            "tagKeys": "version,revision",
        },
        {
            "name": "Firing alerts",
            "enable": True,
            "iconColor": "red",
            "datasource": DATA_SOURCE,
            "expr": firing,
            "titleFormat": "{{alertname}}",
            "textFormat": "{{severity}} on {{instance}}",
            "tagKeys": "severity",
        },
    ]


def _runbook_link(alert: str) -> dict[str, Any]:
    return _link(f"Runbook: {alert}", f"{REPOSITORY}/alerts/runbooks/{alert}.md", keeps=False)


def _link(title: str, url: str, keeps: bool) -> dict[str, Any]:
    return {
        "title": title,
        "type": "link",
        "icon": "dashboard" if keeps else "doc",
        "tooltip": "",
        "url": url,
        "tags": [],
        "asDropdown": False,
        "targetBlank": not keeps,
        "includeVars": keeps,
        "keepTime": keeps,
    }
