"""What a preview in docs/ says of itself: the panels that it draws with data."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path


def drawn_panels(path: Path) -> list[str]:
    """The titles that scripts/draw-board.py has kept in the file."""
    for kind, body in _chunks(path.read_bytes()):
        if kind == b"iTXt":
            name, _, rest = body.partition(b"\0")
            if name == b"panels":
                # Compression flag and method, language, translated keyword.
                return json.loads(rest[2:].split(b"\0", 2)[2])
    raise AssertionError(f"{path.name} does not say what it draws; draw it again: scripts/draw-board.py")


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """The chunks of a PNG, checked."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n", "no PNG"
    found, at = [], 8
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        [check] = struct.unpack(">I", data[at + 8 + length : at + 12 + length])
        assert zlib.crc32(kind + body) == check, "a broken PNG"
        found.append((kind, body))
        at += 12 + length
    return found
