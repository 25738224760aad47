"""What a proof has counted, for the table of scripts/proof.sh."""

from __future__ import annotations

import json
import os


def report(name: str, **facts: object) -> None:
    """Prints what was counted, and adds it as a line of JSON to the file that SANDBOX_MANAGER_TEST_REPORT names."""
    print(name + ": " + ", ".join(f"{key} {value}" for key, value in facts.items()))
    if path := os.environ.get("SANDBOX_MANAGER_TEST_REPORT"):
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"proof": name, "facts": facts}) + "\n")
