"""docs/PYTHON.md: every block is a file's (the ctest tools.readme_snippets holds it to that) or runs as it
stands."""

from __future__ import annotations

import pathlib
import re
from typing import Iterator, Tuple

from support import expect_clean

GUIDE = pathlib.Path(__file__).resolve().parents[3] / "docs" / "PYTHON.md"


def blocks() -> Iterator[Tuple[int, str, bool, str]]:
    """The fenced blocks: line of the first line inside, language, whether it is a file's, text."""
    lines = GUIDE.read_text(encoding="utf-8").split("\n")
    at = 0
    while at < len(lines):
        if lines[at].startswith("```"):
            end = lines.index("```", at + 1)
            yield (
                at + 2,
                lines[at][3:],
                lines[at - 1].startswith("<!-- snippet: "),
                "\n".join(lines[at + 1 : end]),
            )
            at = end
        at += 1


def test_every_block_is_a_files_or_is_run() -> None:
    found = list(blocks())
    assert len(found) > 10
    assert all(is_file or language == "python" for _, language, is_file, _ in found)


def test_the_guide_runs_from_top_to_bottom() -> None:
    # Each block stands at its own line, so that a traceback says where.
    text = ""
    for line, _, is_file, block in blocks():
        if not is_file:
            text += "\n" * (line - 1 - text.count("\n")) + block + "\n"
    out = expect_clean(text)
    assert "running 127.0.0.1:" in out and "['bob']" in out
    assert "/network/dns applied\n/network/mtu needs_server_restart\n" in out
    assert '/listen/0/prot: unknown key; did you mean "port"?' in out
    assert re.search(r"^web 127\.0\.0\.1:\d+ disconnected 1$", out, re.MULTILINE)
