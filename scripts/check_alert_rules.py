#!/usr/bin/env python3
"""Checks what promtool does not: that every alert is complete, explained, tested and about metrics that exist.

For every alert in alerts/*.rules.yml:

- its name begins with SandboxManager and is used once; `for`; a known severity; summary, description (with the value),
  runbook_url (spelled out, on every alert) and dashboard_url;
- alerts/runbooks/<AlertName>.md exists, has the agreed headings and asks Prometheus and the daemon something concrete;
- alerts/tests holds a firing, a quiet and a boundary case of it, named `<AlertName>: firing …`, `: quiet …`,
  `: boundary …`, and what they expect agrees with that word;
- a number that an age is compared with is tagged `# seconds`, so that drills can shrink it.

For every rule: recording rules are named level:metric:operations; no YAML anchors; and each metric it names is either
recorded here, made by Prometheus itself, or in the catalogue, if one is given. A runbook that belongs to no alert is a
finding too.

    scripts/check_alert_rules.py [--alerts DIR] [--catalogue FILE]

FILE holds metric names, one a line, or is a page of the daemon's own /metrics. Needs PyYAML.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import yaml
from yaml.tokens import AliasToken, AnchorToken

ROOT = Path(__file__).resolve().parents[1]
RUNBOOK_URL = "https://github.com/sandbox-manager/sandbox-manager/blob/main/alerts/runbooks/{name}.md"
SEVERITIES = ("critical", "warning", "info")
HEADINGS = ("Meaning", "Impact", "Dashboard", "Confirm", "Do", "Resolved when", "False positives")
CASES = ("firing", "quiet", "boundary")
MADE_BY_PROMETHEUS = {"up", "ALERTS", "ALERTS_FOR_STATE", "scrape_duration_seconds", "scrape_samples_scraped"}
RECORDED_NAME = re.compile(r"^[a-z_]+:[a-z0-9_]+:[a-z0-9_]+$")

_KEYWORDS = {
    "and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "offset", "bool", "start",
    "end", "inf", "nan", "atan2",
}  # fmt: skip
_HISTOGRAM_SUFFIX = re.compile(r"_(bucket|sum|count)$")


def metric_names(expression: str) -> set[str]:
    """The names of the metrics that a PromQL expression reads."""
    text = re.sub(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`[^`]*`", '""', expression)
    text = re.sub(r"#[^\n]*", "", text)
    if "__name__" in text:
        raise ValueError("__name__ hides which metric is meant; write the name")
    text = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", text)
    text = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", text)
    text = re.sub(r"\boffset\s+-?\s*\w+", " ", text)
    found = re.findall(r"(?<![\w.:])([A-Za-z_:][\w:]*)(?!\s*\(|[\w:])", text)
    # What stands before a parenthesis is a function, except for a set operator.
    return {name for name in found if name.lower() not in _KEYWORDS}


def read_catalogue(text: str) -> set[str]:
    """Metric names from a list with one name a line, or from a page in either exposition format."""
    names: set[str] = set()
    for line in text.splitlines():
        line = line.strip()
        family = re.match(r"#\s*(?:TYPE|HELP|UNIT)\s+(\S+)", line)
        if family:
            names.add(family[1])
        elif line and not line.startswith("#"):
            names.add(re.split(r"[{\s]", line, maxsplit=1)[0])
    return names


def case_kinds(document: dict) -> dict[str, set[str]]:
    """Which kinds of case a test file holds for which alert, by what the cases expect, not by their names alone."""
    kinds: dict[str, set[str]] = {}
    for case in document.get("tests") or []:
        alert, _, rest = str(case.get("name", "")).partition(": ")
        alerts = [t for t in case.get("alert_rule_test") or [] if t.get("alertname") == alert]
        states = [
            (t["expr"], t.get("exp_samples") or [])
            for t in case.get("promql_expr_test") or []
            if f'alertname="{alert}"' in t.get("expr", "")
        ]
        fires = any(t.get("exp_alerts") for t in alerts) or any('alertstate="firing"' in str(s) for _, s in states)
        silent = any(not t.get("exp_alerts") for t in alerts)
        word = re.match(r"[a-z]+", rest)
        kind = word[0] if word else ""
        if (kind == "firing" and fires) or (kind == "quiet" and silent and not fires):
            kinds.setdefault(alert, set()).add(kind)
        elif kind == "boundary" and (alerts or states):
            kinds.setdefault(alert, set()).add(kind)
    return kinds


def check(alerts: Path, catalogue: set[str] | None = None) -> list[str]:
    """All findings about a folder of rules, tests and runbooks; empty when everything is in order."""
    findings: list[str] = []
    kinds: dict[str, set[str]] = {}
    for path in sorted((alerts / "tests").glob("*.yml")):
        for alert, found in case_kinds(yaml.safe_load(path.read_text(encoding="utf-8"))).items():
            kinds.setdefault(alert, set()).update(found)
    files = sorted(alerts.glob("*.rules.yml"))
    if not files:
        findings.append(f"{alerts}: no *.rules.yml")
    rules = []
    for path in files:
        text = path.read_text(encoding="utf-8")
        if any(isinstance(token, AliasToken | AnchorToken) for token in yaml.scan(text)):
            findings.append(f"{path.name}: YAML anchors or aliases; spell it out")
        rules += [(path.name, rule) for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    recorded = {rule["record"] for _, rule in rules if "record" in rule}
    seen: set[str] = set()
    for file, rule in rules:
        name = rule.get("alert") or rule["record"]
        findings += [f"{file}: {name}: {problem}" for problem in _expression_problems(rule, recorded, catalogue)]
        if "record" in rule:
            if not RECORDED_NAME.match(name):
                findings.append(f"{file}: {name}: recording rules are named level:metric:operations")
            continue
        if name in seen:
            findings.append(f"{file}: {name}: defined twice")
        seen.add(name)
        findings += [f"{file}: {name}: {problem}" for problem in _alert_problems(rule)]
        missing = [kind for kind in CASES if kind not in kinds.get(name, set())]
        if missing:
            findings.append(f"{file}: {name}: no unit test that is {', '.join(missing)}")
        findings += [f"{name}.md: {problem}" for problem in _runbook_problems(alerts / "runbooks" / f"{name}.md")]
    for path in sorted((alerts / "runbooks").glob("*.md")):
        if path.stem not in seen:
            findings.append(f"{path.name}: a runbook without an alert")
    for alert in sorted(kinds.keys() - seen):
        findings.append(f"tests: {alert}: a test without an alert")
    return findings


def _alert_problems(rule: dict) -> list[str]:
    problems = []
    name, annotations = rule["alert"], rule.get("annotations") or {}
    if not re.fullmatch(r"SandboxManager[A-Z][A-Za-z]+", name):
        problems.append("the name has to begin with SandboxManager")
    if "for" not in rule:
        problems.append("no `for`")
    if (rule.get("labels") or {}).get("severity") not in SEVERITIES:
        problems.append(f"severity has to be one of {', '.join(SEVERITIES)}")
    for key in ("summary", "description", "runbook_url", "dashboard_url"):
        if not str(annotations.get(key, "")).strip():
            problems.append(f"no {key}")
    if "$value" not in annotations.get("description", ""):
        problems.append("the description does not show the value")
    if "First step:" not in annotations.get("description", ""):
        problems.append("the description names no first step")
    if annotations.get("runbook_url") != RUNBOOK_URL.format(name=name):
        problems.append(f"runbook_url has to be {RUNBOOK_URL.format(name=name)}")
    if not re.match(r"/d/sandbox-manager-[a-z]+/", annotations.get("dashboard_url", "")):
        problems.append("dashboard_url has to begin with /d/sandbox-manager-<board>/")
    return problems


def _expression_problems(rule: dict, recorded: set[str], catalogue: set[str] | None) -> list[str]:
    problems = []
    try:
        names = metric_names(rule["expr"])
    except ValueError as error:
        return [str(error)]
    for metric in sorted(names):
        if metric in MADE_BY_PROMETHEUS or metric in recorded:
            continue
        family = _HISTOGRAM_SUFFIX.sub("", metric)
        counter = re.sub(r"_total$", "", metric)  # OpenMetrics names a counter's family without the suffix.
        if ":" in metric:
            problems.append(f"{metric} is recorded nowhere")
        elif catalogue is not None and not {metric, family, counter} & catalogue:
            problems.append(f"{metric} is not in the catalogue")
        elif catalogue is None and not metric.startswith(("sandbox_manager_", "process_", "malloc_")):
            problems.append(f"{metric} is no metric of this program")
    ages = [n for n in names if re.search(r"_(age|idle|wait|hold|timestamp)_seconds$", n)]
    if "alert" in rule and ages and not re.search(r"\d[ \t]*#[ \t]*seconds\b", rule["expr"]):
        problems.append(f"{', '.join(sorted(ages))} is compared with a number without the tag `# seconds`")
    return problems


def _runbook_problems(path: Path) -> list[str]:
    if not path.is_file():
        return ["missing runbook"]
    text = path.read_text(encoding="utf-8")
    problems = []
    if not text.startswith(f"# {path.stem}\n"):
        problems.append("the title is not the alert's name")
    found = tuple(re.findall(r"^## (.+)$", text, re.M))
    if found != HEADINGS:
        problems.append(f"the headings have to be {', '.join(HEADINGS)}")
    if "```promql" not in text:
        problems.append("no PromQL to confirm it with")
    if not re.search(r"curl .*127\.0\.0\.1:(8484|9484)/", text):
        problems.append("no curl line to confirm it with")
    return problems


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Checks that every alert is complete, explained and tested.")
    parser.add_argument("--alerts", type=Path, default=ROOT / "alerts", help="the folder with rules, tests, runbooks")
    parser.add_argument("--catalogue", type=Path, help="metric names one a line, or a page of /metrics")
    options = parser.parse_args(arguments)
    catalogue = read_catalogue(options.catalogue.read_text(encoding="utf-8")) if options.catalogue else None
    if catalogue is not None and not catalogue:
        print(f"check_alert_rules: {options.catalogue} names no metric", file=sys.stderr)
        return 1
    findings = check(options.alerts, catalogue)
    for finding in findings:
        print(finding)
    if not findings:
        print("alert rules, tests and runbooks are complete" + ("" if catalogue else " (metric names not compared)"))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
