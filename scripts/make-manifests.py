#!/usr/bin/env python3
"""Writes deploy/kubernetes from the alert rules and the example of a Prometheus configuration.

    scripts/make-manifests.py [--check] [--folder DIR]

- prometheus-rule.yml: a PrometheusRule with the groups of alerts/*.rules.yml, rule by rule the same
- service-monitor.yml: a Service for the metrics listener and a ServiceMonitor with the intervals of
  deploy/prometheus/prometheus.yml

`--check` only compares, and fails if a file is not what this writes. Needs PyYAML.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
NAME = "sandbox-manager"
METRICS_PORT = 9484
# The operator picks up what carries the labels of its own selectors; these are for that, and for finding them again.
LABELS = {"app.kubernetes.io/name": NAME, "app.kubernetes.io/component": "metrics"}
HEADER = "# Written by scripts/make-manifests.py; do not edit. How to use it: deploy/README.md.\n"


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines, which expressions are, as such."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def dump(*documents: Any) -> str:
    """YAML documents with the header; keys stay in their order, and no line is folded."""
    return HEADER + yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, width=10_000, allow_unicode=True)


def prometheus_rule(rule_files: list[Path]) -> dict[str, Any]:
    """The manifest that holds all groups of the rule files."""
    groups = [group for path in rule_files for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": NAME, "labels": dict(LABELS)},
        "spec": {"groups": groups},
    }


def service_monitor(configuration: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A Service that leads to the metrics listeners of all replicas, and what scrapes it.

    The job is called after the label `app.kubernetes.io/name`: the rules want `sandbox-manager` in it.
    """
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": f"{NAME}-metrics", "labels": dict(LABELS)},
        "spec": {
            # Headless: each replica is a target of its own. One that is not ready is scraped all the same.
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {"app.kubernetes.io/name": NAME},
            "ports": [{"name": "metrics", "port": METRICS_PORT, "targetPort": METRICS_PORT, "protocol": "TCP"}],
        },
    }
    monitor = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": {"name": NAME, "labels": dict(LABELS)},
        "spec": {
            "jobLabel": "app.kubernetes.io/name",
            "selector": {"matchLabels": dict(LABELS)},
            "endpoints": [
                {
                    "port": "metrics",
                    "path": "/metrics",
                    "interval": configuration["global"]["scrape_interval"],
                    "scrapeTimeout": configuration["global"]["scrape_timeout"],
                }
            ],
        },
    }
    return service, monitor


def files(root: Path, folder: Path) -> dict[Path, str]:
    """What each file of the folder has to hold."""
    configuration = yaml.safe_load((root / "deploy/prometheus/prometheus.yml").read_text(encoding="utf-8"))
    rules = sorted((root / "alerts").glob("*.rules.yml"))
    return {
        folder / "prometheus-rule.yml": dump(prometheus_rule(rules)),
        folder / "service-monitor.yml": dump(*service_monitor(configuration)),
    }


def main(arguments: list[str] | None = None) -> int:
    """Writes or compares; 1 if a file differs."""
    parser = argparse.ArgumentParser(description="Writes the Kubernetes manifests of rules and scraping.")
    parser.add_argument("--check", action="store_true", help="compare, do not write")
    parser.add_argument("--folder", type=Path, default=ROOT / "deploy" / "kubernetes")
    options = parser.parse_args(arguments)
    wanted = files(ROOT, options.folder)
    if not options.check:
        for path, text in wanted.items():
            path.write_text(text, encoding="utf-8")
        return 0
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        print(f"{path}: not what scripts/make-manifests.py makes; run it", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
