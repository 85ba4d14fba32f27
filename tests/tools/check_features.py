#!/usr/bin/env python3
"""Holds docs/FEATURES.md to the tests: every row names tests, and each of them exists, ran and passed.

  check_features.py docs/FEATURES.md BUILD_DIR [--names-only]

A row's last cell names its proof, in backticks: a GoogleTest or cmocka case (`Suite.Name`), a ctest
(`abi.symbols.shared`), or a pattern of either (`abi.header.*`, every match counts). A case counts when
the result file of its ctest says that it passed; a ctest when the log of this ctest run, or failing
that of the one before, says so and its output has no line that begins with "skipped".

This is a ctest itself and depends on all others, so it runs last. Where all that is missing was skipped
(no privilege, no peer to talk to) it lists that and is skipped itself (exit status 77); with
SMARTVPN_NO_SKIPS=1 in the environment it fails. --names-only asks just whether the names are
in the results there are, passed or not, for those who edit the table.
"""
import argparse
import fnmatch
import os
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree

PASSED, FAILED, SKIPPED = "passed", "failed", "was skipped"
SKIP_STATUS = 77


def read_rows(text):
    """(line number, capability, names) of every row of every table whose last column is "proven by"."""
    rows, inside = [], False
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith("|"):
            inside = False
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if cells[-1].lower() == "proven by":
            inside = True
        elif inside and not set("".join(cells)) <= set("-: "):
            rows.append((number, cells[0], re.findall(r"`([^`]+)`", cells[-1])))
    return rows


def read_log(text):
    """{ctest: outcome} of a LastTest.log."""
    outcomes = {}
    name, output, command, verdict = None, [], "", None
    for line in text.splitlines():
        begun = re.match(r"\d+/\d+ Testing: (.+)$", line)
        if begun:
            name, output, command, verdict = begun.group(1), [], "", None
        elif name and line.startswith("Command: ") and not command:
            command = line[len("Command: ") :]
        elif name and line in ("Test Passed.", "Test Failed."):
            verdict = line
        elif name and verdict and line.startswith(f'"{name}" end time:'):
            ran = command not in ("", '""')  # a program that was not there "passes" in the log
            skipped = any(re.match(r"skipped\b", said, re.IGNORECASE) for said in output)
            good = verdict == "Test Passed." and ran
            outcomes[name] = FAILED if not good else SKIPPED if skipped else PASSED
            name = None
        elif name:
            output.append(line)
    return outcomes


def run_outcomes(build):
    """What ctest has said: of the run before, then of the run that this is part of."""
    outcomes = {}
    for suffix in ("", ".tmp"):
        for path in sorted((build / "Testing/Temporary").glob("LastTest*.log" + suffix)):
            outcomes.update(read_log(path.read_text(errors="replace")))
    return outcomes


def plain_name(suite, case):
    """Without what GoogleTest adds for parameters: Engines/Aead.Seals/3 is Aead.Seals."""
    parts = suite.split("/")
    if len(parts) > 1 and parts[-1].isdigit():
        parts.pop()
    return f"{parts[-1]}.{case.split('/')[0]}"


def case_outcome(case):
    if case.find("failure") is not None or case.find("error") is not None:
        return FAILED
    if case.find("skipped") is not None or case.get("result") in ("skipped", "suppressed"):
        return SKIPPED
    return SKIPPED if case.get("status") == "notrun" else PASSED


def read_cases(path):
    """(name, outcome) of the cases in a result file of GoogleTest, cmocka or one of our scripts."""
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError:
        return []
    found = []
    for suite in root.iter("testsuite"):
        for case in suite.iter("testcase"):
            name = plain_name(case.get("classname") or suite.get("name") or "", case.get("name") or "")
            found.append((name, case_outcome(case)))
    return found


def worst(outcomes):
    return next((o for o in (FAILED, SKIPPED) if o in outcomes), PASSED)


def all_cases(build, ctests, log):
    """{case: outcome}. A result file counts only if its ctest exists; the log tells whether it is fresh."""
    cases = {}
    for ctest in ctests:
        path = build / "test-results" / (re.sub(r"[./]", "_", ctest) + ".xml")
        if not path.exists():
            continue
        for name, outcome in read_cases(path):
            cases.setdefault(name, []).append(outcome if ctest in log else None)
    return {name: None if None in outcomes else worst(outcomes) for name, outcomes in cases.items()}


def judge(name, ctests, log, cases):
    """None if the test exists, ran and passed, else what is wrong."""
    matches = fnmatch.filter(ctests, name) + fnmatch.filter(cases, name)
    if not matches:
        return "does not exist"
    for match in matches:
        outcome = log.get(match) if match in ctests else cases[match]
        which = "" if match == name else f" ({match})"
        if outcome is None:
            return "did not run" + which
        if outcome != PASSED:
            return outcome + which
    return None


def check(rows, ctests, log, cases, names_only=False):
    problems = [] if rows else ["the table is empty"]
    for number, capability, names in rows:
        if not names:
            problems.append(f"line {number}: {capability}: no test is named")
        for name in names:
            wrong = judge(name, ctests, log, cases)
            if wrong and not (names_only and wrong != "does not exist"):
                problems.append(f"line {number}: {name} {wrong}")
    return problems


def exit_status(problems, no_skips):
    if not problems:
        return 0
    if no_skips or not all(f" {SKIPPED}" in problem for problem in problems):
        return 1
    print("skipped: these have to run before the list is proven")
    return SKIP_STATUS


def list_ctests(build):
    """As the build wrote them down: asking ctest would end the log of the run that this is part of."""
    return (build / "tests/tools/ctest_names.txt").read_text().split()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("features", type=pathlib.Path)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--names-only", action="store_true")
    options = parser.parse_args()
    ctests = list_ctests(options.build)
    log = run_outcomes(options.build)
    rows = read_rows(options.features.read_text())
    problems = check(rows, ctests, log, all_cases(options.build, ctests, log), options.names_only)
    good = "name tests that exist" if options.names_only else "are each proven by tests that ran and passed"
    print("\n".join(problems) or f"{len(rows)} capabilities {good}")
    sys.exit(exit_status(problems, os.environ.get("SMARTVPN_NO_SKIPS") == "1"))


if __name__ == "__main__":
    main()
