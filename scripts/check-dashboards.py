#!/usr/bin/env python3
"""Checks the Grafana boards in dashboards/: what a board needs to be right, and that boards, alerts and runbooks agree.

Every board: a uid after the name of its file, `editable: false`, schemaVersion 39 or later; the variables datasource,
job and instance as agreed; annotations for deploys and firing alerts; links to the other boards and the runbooks.
Every panel: a place that overlaps no other, a unit, a description that asks a question and says what to do about the
answer, the data source of the variable. Every query: job and instance in each selector, `$__rate_interval` in each rate
(`$__range` in an increase), counters only under rate or increase. Histograms are shown as p50, p95, p99 and heatmap;
what has a limit is shown with it; a threshold that is drawn is that of an alert, or explained.

Boards, alerts and runbooks: each panel and row that a runbook names exists and links back; each alert has a panel;
`dashboard_url` opens the panel that the runbook names first. With a catalogue: each metric is on a panel or in an
alert, and no query names one that does not exist.

    scripts/check-dashboards.py [--dashboards DIR] [--alerts DIR] [--catalogue FILE] [--schema FILE]

FILE of --catalogue is a page of the daemon's /metrics, or a list of names. FILE of --schema is Grafana's JSON schema of
a dashboard (also from $GRAFANA_DASHBOARD_SCHEMA), which is not part of this project; it needs the package jsonschema.
Needs PyYAML.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml
from check_alert_rules import MADE_BY_PROMETHEUS, metric_names, read_catalogue

ROOT = Path(__file__).resolve().parents[1]
# How runbooks call the boards.
BOARD_NAMES = {
    "Overview": "sandbox-manager-overview",
    "Fleet": "sandbox-manager-fleet",
    "Leaks and memory": "sandbox-manager-leaks",
    "Upstreams": "sandbox-manager-upstreams",
}
RUNBOOK = re.compile(r"/alerts/runbooks/(SandboxManager\w+)\.md$")
SCOPE = ('job=~"$job"', 'instance=~"$instance"')
# What is bounded, and the bound that belongs on the same panel.
BOUNDS = {
    "sandbox_manager_slots_in_use": "sandbox_manager_slots_limit",
    "sandbox_manager_user_slots_max": "sandbox_manager_slots_limit",
    "sandbox_manager_collection_entries": "sandbox_manager_collection_limit_entries",
    "sandbox_manager_collection_oldest_idle_seconds": "sandbox_manager_collection_idle_limit_seconds",
    "sandbox_manager_loop_last_success_timestamp_seconds": "sandbox_manager_loop_interval_seconds",
    "sandbox_manager_warm_pool_ready": "sandbox_manager_warm_pool_target",
    "process_open_fds": "process_max_fds",
}
VARIABLES = {
    "datasource": {"type": "datasource", "label": "Data source", "query": "prometheus"},
    "job": {
        "type": "query",
        "label": "Job",
        "query": "label_values(sandbox_manager_build_info, job)",
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
    },
    "instance": {
        "type": "query",
        "label": "Instance",
        "query": 'label_values(sandbox_manager_build_info{job=~"$job"}, instance)',
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
    },
}

Board = dict[str, Any]


def panels(board: Board) -> list[dict[str, Any]]:
    """The panels of a board that show something, rows left out."""
    return [panel for panel in board.get("panels", []) if panel.get("type") not in ("row", "text")]


def queries(panel: dict[str, Any]) -> list[str]:
    """The expressions of a panel."""
    return [target.get("expr", "") for target in panel.get("targets", [])]


def family(name: str) -> str:
    """The metric that a series belongs to."""
    return re.sub(r"_(bucket|sum|count)$", "", name)


# Queries


def query_problems(expression: str) -> Iterator[str]:
    """What is wrong with one PromQL expression, by the rules for boards."""
    if not expression.strip():
        yield "an empty query"
        return
    for name in sorted(metric_names(expression)):
        for found in re.finditer(rf"(?<![\w:\"]){re.escape(name)}(?![\w:])(\{{[^}}]*\}})?(\[[^\]]*\])?", expression):
            matchers, window = found[1] or "", found[2]
            for matcher in SCOPE:
                if matcher not in matchers:
                    yield f"{name}: no {matcher} in its selector"
            before = re.search(r"(\w+)\s*\($", expression[: found.start()])
            function = before[1] if before else ""
            if re.search(r"_(total|bucket|sum|count)$", name) and (function not in ("rate", "increase") or not window):
                yield f"{name}: a counter outside rate or increase"
    for function, window in re.findall(r"\b(i?rate|increase|i?delta|deriv)\([^()]*?\[([^\]]*)\]", expression):
        allowed = {"rate": {"$__rate_interval"}, "increase": {"$__rate_interval", "$__range"}}.get(function, set())
        if window not in allowed:
            yield f"{function} over [{window}]"
    if re.search(r"\[\s*\$__interval", expression):
        yield "$__interval as a window: with a small one it spans no two scrapes"


# Boards


def board_problems(board: Board, stem: str) -> Iterator[str]:
    """What is wrong with one board by itself."""
    if board.get("uid") != f"sandbox-manager-{stem}":
        yield f"uid has to be sandbox-manager-{stem}"
    if board.get("editable") is not False:
        yield "editable has to be false"
    if board.get("schemaVersion", 0) < 39:
        yield "schemaVersion has to be 39 or later"
    if "id" in board:
        yield "an id is that of one installation"
    yield from _variable_problems(board)
    yield from _annotation_problems(board)
    yield from _layout_problems(board)
    titles = [panel.get("title") for panel in panels(board)]
    for title in sorted({title for title in titles if titles.count(title) > 1}, key=str):
        yield f"two panels are called {title!r}"
    for panel in panels(board):
        yield from (f"panel {panel.get('title')!r}: {problem}" for problem in panel_problems(panel))
    yield from _histogram_problems(board)


def panel_problems(panel: dict[str, Any]) -> Iterator[str]:
    """What is wrong with one panel by itself; thresholds need the alerts and are checked elsewhere."""
    defaults = panel.get("fieldConfig", {}).get("defaults")
    if not panel.get("title"):
        yield "no title"
    if defaults is None:
        yield "no fieldConfig.defaults"
    if not (defaults or {}).get("unit"):
        yield "no unit"
    if not re.search(r"^[A-Z].+\?\s+[A-Za-z0-9].+", panel.get("description", ""), re.S):
        yield "the description has to ask a question and say what to do about the answer"
    if not panel.get("targets"):
        yield "no query"
    for thing in [panel, *panel.get("targets", [])]:
        if thing.get("datasource") != {"type": "prometheus", "uid": "${datasource}"}:
            yield "the data source has to be that of the variable"
    identifiers = [target.get("refId") for target in panel.get("targets", [])]
    if len(set(identifiers)) < len(identifiers):
        yield "two queries have the same refId"
    names: set[str] = set()
    for expression in queries(panel):
        names |= metric_names(expression)
        yield from query_problems(expression)
    ratios = (defaults or {}).get("unit") in ("percentunit", "bytes")
    for bounded, bound in BOUNDS.items():
        if bounded in names and bound not in names and not ratios:
            yield f"shows {bounded} without {bound}"


def _variable_problems(board: Board) -> Iterator[str]:
    variables = {variable.get("name"): variable for variable in board.get("templating", {}).get("list", [])}
    if list(variables) != list(VARIABLES):
        yield f"the variables have to be {', '.join(VARIABLES)}, in this order"
    for name, wanted in VARIABLES.items():
        for key, value in wanted.items():
            if variables.get(name, {}).get(key) != value:
                yield f"variable {name}: {key} has to be {value!r}"


def _annotation_problems(board: Board) -> Iterator[str]:
    wanted = {"Deploys": "sandbox_manager_build_info", "Firing alerts": "ALERTS"}
    annotations = {found.get("name"): found for found in board.get("annotations", {}).get("list", [])}
    for name, metric in wanted.items():
        annotation = annotations.get(name)
        if annotation is None or not annotation.get("enable"):
            yield f"no annotation {name!r}"
            continue
        if metric not in metric_names(annotation.get("expr", "")):
            yield f"annotation {name!r} does not read {metric}"
        yield from (f"annotation {name!r}: {problem}" for problem in query_problems(annotation.get("expr", "")))


def _layout_problems(board: Board) -> Iterator[str]:
    places = []
    for panel in board.get("panels", []):
        place, name = panel.get("gridPos", {}), panel.get("title")
        if set(place) < {"h", "w", "x", "y"}:
            yield f"panel {name!r}: no complete gridPos"
            continue
        if place["x"] < 0 or place["x"] + place["w"] > 24 or min(place["h"], place["w"]) < 1:
            yield f"panel {name!r}: outside the grid"
        places.append((name, place))
    for (one, a), (other, b) in combinations(places, 2):
        apart_x = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        apart_y = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        if not apart_x and not apart_y:
            yield f"panels {one!r} and {other!r} overlap"
    identifiers = [panel.get("id") for panel in board.get("panels", [])]
    if len(set(identifiers)) < len(identifiers) or None in identifiers:
        yield "panels need ids of their own"


def _histogram_problems(board: Board) -> Iterator[str]:
    shown: dict[str, set[str]] = {}
    for panel in panels(board):
        for expression in queries(panel):
            for name in metric_names(expression):
                if not name.endswith("_bucket"):
                    continue
                ways = shown.setdefault(family(name), set())
                if panel["type"] == "heatmap":
                    ways.add("heatmap")
                    if panel["targets"][0].get("format") != "heatmap":
                        yield f"panel {panel['title']!r}: the format of its query has to be heatmap"
                ways |= {f"p{float(q) * 100:g}" for q in re.findall(r"histogram_quantile\(\s*([\d.]+)", expression)}
    for metric, ways in sorted(shown.items()):
        missing = [way for way in ("p50", "p95", "p99", "heatmap") if way not in ways]
        if missing:
            yield f"{metric}: not shown as {', '.join(missing)}"


# Boards, alerts and runbooks together


def load_alerts(folder: Path) -> list[dict[str, Any]]:
    """All rules of a folder."""
    return [
        rule
        for path in sorted(folder.glob("*.rules.yml"))
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    ]


def linked_runbooks(panel: dict[str, Any]) -> set[str]:
    """The alerts whose runbooks a panel links to."""
    return {found[1] for link in panel.get("links", []) if (found := RUNBOOK.search(link.get("url", "")))}


def threshold_problems(panel: dict[str, Any], expressions: dict[str, str]) -> Iterator[str]:
    """Thresholds that are drawn, but neither an alert's nor explained in the description."""
    defaults = panel.get("fieldConfig", {}).get("defaults", {})
    drawn = defaults.get("custom", {}).get("thresholdsStyle", {}).get("mode", "off") != "off"
    values = [step["value"] for step in defaults.get("thresholds", {}).get("steps", []) if step["value"] is not None]
    if drawn and not values:
        yield "draws thresholds and has none"
    texts = [expressions.get(alert, "") for alert in linked_runbooks(panel)]
    for value in values:
        number = re.escape(f"{value:g}")
        if texts and not any(re.search(rf"[<>]=?\s*{number}(?![\d.])", text) for text in texts):
            yield f"the threshold {value:g} is not that of its alert"
        if not texts and not re.search(rf"(?<![\d.]){number}(?!\d|\.\d)", panel.get("description", "")):
            yield f"the threshold {value:g} has neither alert nor explanation"


def named_in(runbook: str) -> Iterator[tuple[str, str, str]]:
    """(board, "row" or "panel", title) for all that the section "Dashboard" of a runbook names."""
    section = re.search(r"^## Dashboard\n(.*?)(?=^## |\Z)", runbook, re.M | re.S)
    text = " ".join(section[1].split()) if section else ""
    board, kind = "", ""
    for word in re.finditer(r'"([^"]+)"|\b(Overview|Leaks and memory|Fleet|Upstreams)\b|\b(row|panel)s?\b', text):
        title, name, thing = word.groups()
        if name:
            board, kind = name, ""
        elif thing:
            kind = thing
        else:
            yield board, kind, title


def agreement_problems(boards: dict[str, Board], alerts: Path) -> Iterator[str]:
    """Where boards, alerts and runbooks contradict each other."""
    by_uid = {board.get("uid"): board for board in boards.values()}
    rules = {rule["alert"]: rule for rule in load_alerts(alerts) if "alert" in rule}
    expressions = {name: rule["expr"] for name, rule in rules.items()}
    covered: set[str] = set()
    for stem, board in boards.items():
        links = " ".join(link.get("url", "") for link in board.get("links", []))
        for sibling in by_uid:
            if sibling != board.get("uid") and f"/d/{sibling}" not in links:
                yield f"{stem}: no link to {sibling}"
        if "/alerts/runbooks" not in links:
            yield f"{stem}: no link to the runbooks"
        for panel in panels(board):
            where = f"{stem}: panel {panel.get('title')!r}"
            covered |= linked_runbooks(panel)
            for alert in sorted(linked_runbooks(panel) - rules.keys()):
                yield f"{where}: links to the runbook of {alert}, which is no alert"
            yield from (f"{where}: {problem}" for problem in threshold_problems(panel, expressions))
    for alert, rule in sorted(rules.items()):
        if alert not in covered:
            yield f"{alert}: no panel links to its runbook"
        path = alerts / "runbooks" / f"{alert}.md"
        yield from (f"{path.name}: {problem}" for problem in _runbook_problems(path, rule, by_uid))


def _leads_to_first_panel(address: str, named: list[tuple[str, str, str]], boards: dict[str, Board]) -> bool:
    """Whether a link opens the panel of its board that the runbook names before others."""
    board = boards.get(BOARD_NAMES[named[0][0]], {})
    titles = [title for name, kind, title in named if kind == "panel" and name == named[0][0]]
    ids = [panel["id"] for panel in panels(board) if panel.get("title") in titles[:1]]
    opened = re.search(r"[?&]viewPanel=(\d+)$", address)
    return opened is not None and [int(opened[1])] == ids


def _runbook_problems(path: Path, rule: dict[str, Any], boards: dict[str, Board]) -> Iterator[str]:
    named = list(named_in(path.read_text(encoding="utf-8"))) if path.exists() else []
    if not named:
        yield "names no panel and no row of a board"
        return
    address = rule.get("annotations", {}).get("dashboard_url", "")
    if f"/d/{BOARD_NAMES.get(named[0][0])}/" not in address:
        yield f"begins with the board {named[0][0]!r}, and dashboard_url leads elsewhere"
    elif not _leads_to_first_panel(address, named, boards):
        yield "dashboard_url does not open the panel that is named first (viewPanel)"
    for name, kind, title in named:
        board = boards.get(BOARD_NAMES.get(name))
        if board is None:
            yield f"{title!r}: there is no board {name!r}"
        elif kind == "row":
            if title not in [row.get("title") for row in board["panels"] if row.get("type") == "row"]:
                yield f"{name} has no row {title!r}"
        else:
            found = [panel for panel in panels(board) if panel.get("title") == title]
            if not found:
                yield f"{name} has no panel {title!r}"
            elif rule["alert"] not in linked_runbooks(found[0]):
                yield f"panel {title!r} does not link back"


def catalogue_problems(boards: dict[str, Board], alerts: Path, catalogue: set[str]) -> Iterator[str]:
    """Metrics that nobody looks at, and names that do not exist."""
    rules = load_alerts(alerts)
    recorded = {rule["record"] for rule in rules if "record" in rule}
    catalogue = {family(name) if family(name) in catalogue else name for name in catalogue}
    read = {name for rule in rules for name in metric_names(rule["expr"])}
    watched = {family(name) if family(name) in catalogue else name for name in read}
    for stem, board in boards.items():
        for panel in panels(board):
            for expression in queries(panel):
                for name in metric_names(expression):
                    metric = family(name) if family(name) in catalogue else name
                    watched.add(metric)
                    if metric not in catalogue | recorded | MADE_BY_PROMETHEUS:
                        yield f"{stem}: panel {panel['title']!r}: {name} does not exist"
    for name in sorted(catalogue - watched):
        yield f"{name}: on no panel and in no alert"


def schema_problems(boards: dict[str, Board], schema: Path) -> Iterator[str]:
    """Where a board is not what Grafana's own schema says."""
    import jsonschema

    validator = jsonschema.Draft7Validator(json.loads(schema.read_text(encoding="utf-8")))
    for stem, board in boards.items():
        for error in validator.iter_errors(board):
            yield f"{stem}: {'/'.join(map(str, error.absolute_path))}: {error.message[:200]}"


def check(
    dashboards: Path, alerts: Path, catalogue: set[str] | None = None, schema: Path | None = None
) -> list[str]:
    """All findings about a folder of boards; empty when everything is in order."""
    findings: list[str] = []
    boards: dict[str, Board] = {}
    for path in sorted(dashboards.glob("*.json")):
        try:
            boards[path.stem] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            findings.append(f"{path.name}: no JSON: {error}")
    if not boards:
        return [*findings, f"{dashboards}: no boards"]
    for stem, board in boards.items():
        findings += [f"{stem}: {problem}" for problem in board_problems(board, stem)]
    findings += agreement_problems(boards, alerts)
    if catalogue is not None:
        findings += catalogue_problems(boards, alerts, catalogue)
    if schema is not None:
        findings += schema_problems(boards, schema)
    return findings


def main(arguments: list[str] | None = None) -> int:
    """Prints the findings; 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dashboards", type=Path, default=ROOT / "dashboards")
    parser.add_argument("--alerts", type=Path, default=ROOT / "alerts")
    parser.add_argument("--catalogue", type=Path)
    parser.add_argument("--schema", type=Path, default=os.environ.get("GRAFANA_DASHBOARD_SCHEMA") or None)
    options = parser.parse_args(arguments)
    catalogue = read_catalogue(options.catalogue.read_text(encoding="utf-8")) if options.catalogue else None
    schema = Path(options.schema) if options.schema else None
    findings = check(options.dashboards, options.alerts, catalogue, schema)
    for finding in findings:
        print(finding, file=sys.stderr)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
