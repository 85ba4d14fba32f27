#!/usr/bin/env python3
"""That check_features.py can say no: a name that does not exist, a failure, a skip, a stale result."""
import contextlib
import io
import pathlib
import sys
import tempfile

import check_features as cf

LOG = """Start testing: Jan 01 00:00 UTC
----------------------------------------------------------
1/5 Testing: unit.a
1/5 Test: unit.a
Command: "unit_a"
Output:
----------------------------------------------------------
fine
<end of output>
Test time =   0.02 sec
----------------------------------------------------------
Test Passed.
"unit.a" end time: Jan 01 00:00 UTC
2/5 Testing: net.b
Command: "sh" "b.sh"
skipped: needs root
Test Passed.
"net.b" end time: Jan 01 00:00 UTC
3/5 Testing: net.c
Command: ""
Test Passed.
"net.c" end time: Jan 01 00:00 UTC
4/5 Testing: net.d
Command: "d"
Test Failed.
"net.d" end time: Jan 01 00:00 UTC
5/5 Testing: tools.features
Command: "python3"
"""

RESULTS = """<testsuites><testsuite name="Engines/Trie">
<testcase name="Finds/0" status="run" result="completed" classname="Engines/Trie"/>
<testcase name="Finds/1" status="run" result="completed" classname="Engines/Trie"/>
<testcase name="Half/0" status="run" result="completed" classname="Engines/Trie"/>
<testcase name="Half/1" status="run" result="completed" classname="Engines/Trie"><failure message="no"/></testcase>
<testcase name="Root" status="run" result="skipped" classname="Engines/Trie"><skipped/></testcase>
<testcase name="DISABLED_Off" status="notrun" result="suppressed" classname="Engines/Trie"/>
</testsuite></testsuites>"""

TABLE = """| area | words |
| --- | --- |
| not looked at | `nothing` |

| capability | proven by |
| --- | --- |
| one | `Trie.Finds`, `unit.a` |
| two | `unit.*` |
| three | none |
"""

CTESTS = ["unit.a", "net.b", "net.c", "net.d", "unit.later", "tools.features"]


def expect(what, got, wanted):
    if got != wanted:
        sys.exit(f"{what}: got {got!r}, wanted {wanted!r}")


def main():
    log = cf.read_log(LOG)
    expect("log", log, {"unit.a": "passed", "net.b": cf.SKIPPED, "net.c": "failed", "net.d": "failed"})
    with tempfile.TemporaryDirectory() as folder:
        build = pathlib.Path(folder)
        (build / "test-results").mkdir()
        for name in ("unit_a", "unit_gone"):
            (build / "test-results" / f"{name}.xml").write_text(RESULTS.replace("Trie", "Trie" if name == "unit_a" else "Gone"))
        (build / "test-results" / "unit_later.xml").write_text(RESULTS.replace("Trie", "Later"))
        cases = cf.all_cases(build, CTESTS, log)
    for name, wanted in {
        "Trie.Finds": None,
        "unit.a": None,
        "Trie.Half": "failed",
        "Trie.Root": cf.SKIPPED,
        "Trie.DISABLED_Off": cf.SKIPPED,
        "Trie.F*": None,
        "Trie.*": "failed (Trie.Half)",
        "Gone.Finds": "does not exist",
        "Later.Finds": "did not run",
        "unit.later": "did not run",
        "net.b": cf.SKIPPED,
        "net.c": "failed",
        "net.d": "failed",
        "Trie.Invented": "does not exist",
    }.items():
        expect(name, cf.judge(name, CTESTS, log, cases), wanted)
    rows = cf.read_rows(TABLE)
    expect("rows", [names for _, _, names in rows], [["Trie.Finds", "unit.a"], ["unit.*"], []])
    expect("problems", cf.check(rows, CTESTS, log, cases),
           ["line 8: unit.* did not run (unit.later)", "line 9: three: no test is named"])
    expect("names only", len(cf.check(rows, CTESTS, log, cases, names_only=True)), 1)
    expect("empty", cf.check([], CTESTS, log, cases), ["the table is empty"])
    skipped = ["line 3: x: net.b " + cf.SKIPPED]
    with contextlib.redirect_stdout(io.StringIO()):
        statuses = [cf.exit_status(skipped, no_skips) for no_skips in (False, True)]
    statuses += [cf.exit_status(skipped + ["y failed"], False), cf.exit_status([], True)]
    expect("exit statuses", statuses, [77, 1, 1, 0])
    print("the feature check says no where it should")


if __name__ == "__main__":
    main()
