#!/usr/bin/env python3
"""Makes a copy of the tree whose package has only some targets, and what those need.

    scripts/trimmed_package.py FOLDER TARGET... [--without TARGET]...

For builds that are made in a special way: what is not needed is not built, and the build of the tree itself is left
alone. A copy that exists is brought up to date, and only what differs is written. --without leaves a target out even
where others depend on it.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# Stands below the real manifest and cuts it down. Warnings are no errors here: a special build may bring its own.
TRIM = """
let roots = {roots}
let unwanted = {unwanted}
for target in package.targets {{
    target.dependencies.removeAll {{ dependency in
        switch dependency {{
        case .targetItem(let name, _), .byNameItem(let name, _): unwanted.contains(name)
        default: false
        }}
    }}
    target.swiftSettings?.append(.treatAllWarnings(as: .warning))
}}
var wanted: Set<String> = []
var packages: Set<String> = []
var unseen = roots
while let name = unseen.popLast() {{
    guard wanted.insert(name).inserted else {{ continue }}
    for dependency in package.targets.first(where: {{ $0.name == name }})?.dependencies ?? [] {{
        switch dependency {{
        case .targetItem(let name, _), .byNameItem(let name, _): unseen.append(name)
        case .productItem(_, let package, _, _): if let package {{ packages.insert(package) }}
        @unknown default: break
        }}
    }}
}}
package.products = []
package.targets.removeAll {{ !wanted.contains($0.name) }}
package.dependencies.removeAll {{ dependency in
    guard case .sourceControl(_, let location, _) = dependency.kind else {{ return false }}
    return !packages.contains {{ location.hasSuffix("/\\($0)") }}
}}
"""


def swift_list(names: list[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "] as [String]"


def write(path: Path, content: bytes) -> None:
    """Writes a file unless it is like that already: what was not written is not built again."""
    if not path.is_file() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def update(source: Path, copy: Path, keep: set[Path]) -> None:
    """Makes a folder the same as another, but for the files to keep."""
    names = {entry.name for entry in source.iterdir()}
    for entry in copy.iterdir() if copy.is_dir() else ():
        if entry.name not in names and entry not in keep:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    for name in names:
        if (source / name).is_dir():
            update(source / name, copy / name, keep)
        elif copy / name not in keep:
            write(copy / name, (source / name).read_bytes())


def make(
    folder: Path, roots: list[str], texts: dict[Path, str] | None = None, without: list[str] | None = None
) -> None:
    """Makes the copy, with other texts for some files; a path that the tree does not have is a new file."""
    texts = texts or {}
    keep = {folder / path for path in texts}
    for name in ("Sources", "Tests"):
        update(ROOT / name, folder / name, keep)
    for path, text in texts.items():
        write(folder / path, text.encode())
    manifest = (ROOT / "Package.swift").read_text()
    trim = TRIM.format(roots=swift_list(roots), unwanted=swift_list(without or []))
    write(folder / "Package.swift", (manifest + trim).encode())
    if (ROOT / "Package.resolved").is_file():
        write(folder / "Package.resolved", (ROOT / "Package.resolved").read_bytes())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("targets", nargs="+")
    parser.add_argument("--without", action="append", default=[])
    arguments = parser.parse_args()
    make(arguments.folder, arguments.targets, without=arguments.without)


if __name__ == "__main__":
    main()
