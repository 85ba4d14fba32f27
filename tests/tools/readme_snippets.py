#!/usr/bin/env python3
"""Holds the code in the documents to the files it is taken from.

  readme_snippets.py ROOT            checks: every block equals its file
  readme_snippets.py ROOT --update   writes the files' text into the blocks

A line `<!-- snippet: PATH -->` says that the fenced block right below it is the file PATH, whole;
`<!-- snippet: PATH#cc -->` that it is the line of that file which begins with `cc ` (the line that builds it), and so for
any other word, such as `PATH#pip`.
"""
import pathlib
import re
import sys

MARKER = re.compile(r"^<!-- snippet: (\S+?)(?:#([a-z0-9]+))? -->$")


def documents(root):
    return [root / "README.md", *sorted(root.glob("docs/*.md"))]


def source_text(root, path, word):
    file = root / path
    if not file.is_file():
        return None
    text = file.read_text()
    if not word:
        return text.rstrip("\n")
    found = re.search(rf"^[ /*#]*({word} .*?)(?: \*/)?$", text, re.MULTILINE)
    return found.group(1) if found else None


def process(root, text, problems, where):
    """The text with every block replaced by its source; `problems` gets what differed."""
    out, lines, at, count = [], text.split("\n"), 0, 0
    while at < len(lines):
        out.append(lines[at])
        marker = MARKER.match(lines[at])
        at += 1
        if not marker:
            continue
        count += 1
        place = f"{where}:{at}"
        end = next((i for i in range(at + 1, len(lines)) if lines[i] == "```"), None)
        wanted = source_text(root, marker.group(1), marker.group(2))
        if at >= len(lines) or not lines[at].startswith("```") or end is None:
            problems.append(f"{place}: no fenced block below the marker")
        elif wanted is None:
            problems.append(f"{place}: {marker.group(1)} is not there, or has no such line")
        else:
            if "\n".join(lines[at + 1 : end]) != wanted:
                problems.append(f"{place}: differs from {marker.group(1)} (readme_snippets.py . --update)")
            out += [lines[at], *wanted.split("\n")]
            at = end
    return "\n".join(out), count


def main():
    root, update = pathlib.Path(sys.argv[1]), "--update" in sys.argv[2:]
    problems, total = [], 0
    for document in documents(root):
        if not document.exists():
            continue
        text = document.read_text()
        fresh, count = process(root, text, problems, document.relative_to(root))
        total += count
        if update and fresh != text:
            document.write_text(fresh)
            print(f"updated {document.relative_to(root)}")
    if not total:
        problems.append("no document quotes a file")
    if update:
        problems = [p for p in problems if "differs from" not in p]
    print("\n".join(problems) or f"{total} blocks equal their files")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
