#!/usr/bin/env python3
"""Draws a preview of each board without Grafana, from a real Prometheus that watched real daemons.

    scripts/draw-board.py --daemon .build/release/sandbox-manager [--folder docs] [--seconds 75] [--only BOARD]

Runs the daemons and the load of Tests/EndToEnd/board_load.py, asks Prometheus the boards' own queries, draws every
panel, and fails if one has no data. Nothing is made up but the load. Needs Prometheus, redis-server and fake-e2b
(`swift build --product fake-e2b`), and the packages matplotlib and pillow.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "Tests" / "EndToEnd"))

from board_load import BOARDS, JOB, Board, Panel, Run, loaded  # noqa: E402
from board_picture import Drawn, Line, draw_board, legend_of, palette  # noqa: E402
from daemon import Daemon  # noqa: E402


def sections(run: Run, board: Board) -> Iterator[tuple[str, list[Drawn]]]:
    """The rows of a board with what their panels show."""
    heading, found = "", []
    for panel in board["panels"]:
        if panel["type"] == "row":
            if found:
                yield heading, found
            heading, found = panel["title"], []
        else:
            found.append(Drawn(panel, list(lines(run, panel))))
    yield heading, found


def lines(run: Run, panel: Panel) -> Iterator[Line]:
    """The series of a panel, with the seconds of the run as moments.

    Coarser than they are scraped: that is all that can be seen, and half the size of the picture.
    """
    for target in panel["targets"]:
        for series in run.series(target["expr"], step="1s", rate="4s"):
            points = [(round(float(at) - run.began, 2), float(text)) for at, text in series["values"]]
            yield Line(legend_of(target["legendFormat"], series["metric"], JOB), series["metric"], points)


def shrink(path: Path, labels: Mapping[str, str]) -> None:
    """A palette is enough for lines, and a third of the size."""
    kept = PngInfo()
    for name, text in labels.items():
        kept.add_itxt(name, text)
    colors = Image.new("P", (1, 1))
    colors.putpalette([part for color in palette() for part in color])
    with Image.open(path) as image:
        flat = image.convert("RGB").quantize(palette=colors, dither=Image.Dither.NONE)
    flat.save(path, optimize=True, pnginfo=kept)


def main() -> int:
    """Runs, asks, draws; 1 if a panel has no data."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--daemon", type=Path, required=True)
    parser.add_argument("--folder", type=Path, default=ROOT / "docs")
    parser.add_argument("--seconds", type=float, default=75)
    parser.add_argument("--only", choices=BOARDS, action="append", help="a board; may be given again")
    options = parser.parse_args()
    folders = count()
    empty = []
    with tempfile.TemporaryDirectory() as temporary:

        def launch(settings: Mapping[str, str]) -> Daemon:
            return Daemon(options.daemon.resolve(), Path(temporary) / f"daemon{next(folders)}" / "work", settings)

        with loaded(launch, options.seconds, named=True, wave=options.seconds / 2) as run:
            for name in options.only or BOARDS:
                board = BOARDS[name]
                found = list(sections(run, board))
                drawn = [one for _, panels in found for one in panels]
                empty += [f"{name}: {one.panel['title']}" for one in drawn if one.is_empty]
                path = options.folder / f"{name}.png"
                title = (
                    f"{board['title']}: a preview of its {len(drawn)} panels. {run.ended - run.began:.0f} s of "
                    "synthetic load on five daemons, four of them with faults; drawn from the board's own queries by "
                    "scripts/draw-board.py, not by Grafana."
                )
                draw_board(title, found, path, {})
                shrink(path, {"panels": json.dumps([one.panel["title"] for one in drawn if not one.is_empty])})
                print(f"{path}: {len(drawn)} panels, {path.stat().st_size / 1000:.0f} KB")
    for panel in empty:
        print(f"no data: {panel}", file=sys.stderr)
    return 1 if empty else 0


if __name__ == "__main__":
    sys.exit(main())
