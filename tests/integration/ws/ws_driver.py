"""What the WebSocket integration tests share: the command line, the echo program, the report."""

import argparse
import os
import subprocess
import sys
import traceback
from xml.sax.saxutils import quoteattr

SKIPPED = 77


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--echo", required=True, help="the ws_echo program")
    parser.add_argument("--work", required=True, help="a folder this test may write to")
    parser.add_argument("--results", help="where to write the results as XML")
    parser.add_argument("--only", help="run only cases whose name contains this")
    options = parser.parse_args()
    os.makedirs(options.work, exist_ok=True)
    return options


def skip(why):
    print("skipped:", why)
    sys.exit(SKIPPED)


class EchoServer:
    """`ws_echo server` on a port of the kernel's choice; ends when its stdin closes."""

    def __init__(self, program, *flags):
        self.command = [program, "server", *flags]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()


class EchoClient:
    """`ws_echo client`; wait() gives its exit status and its one line of output."""

    def __init__(self, program, port, *flags, path="/echo"):
        self.process = subprocess.Popen(
            [program, "client", f"ws://127.0.0.1:{port}{path}", *flags], stdout=subprocess.PIPE
        )

    def wait(self):
        try:
            out, _ = self.process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, _ = self.process.communicate()
            return None, "did not end"
        return self.process.returncode, out.decode().strip()


class Report:
    """Counts cases, prints failures, writes the XML the feature list reads."""

    def __init__(self, suite, options):
        self.suite, self.options, self.cases = suite, options, []

    def wanted(self, name):
        return not self.options.only or self.options.only in name

    def add(self, name, failure=None):
        self.cases.append((name, failure))
        if failure is not None:
            print(f"FAILED {name}: {failure}", flush=True)

    def run(self, name, function, *arguments):
        if not self.wanted(name):
            return
        try:
            function(*arguments)
        except Exception as error:  # a case that fails must not stop the others
            detail = str(error) or repr(error)
            if not isinstance(error, AssertionError):
                detail = traceback.format_exc()
            self.add(name, detail)
        else:
            self.add(name)

    def finish(self):
        failed = sum(1 for _, failure in self.cases if failure is not None)
        print(f"{self.suite}: {len(self.cases)} cases, {failed} failed")
        if self.options.results:
            self.write_xml(failed)
        if not self.cases:
            print("no case ran")
        sys.exit(1 if failed or not self.cases else 0)

    def write_xml(self, failed):
        with open(self.options.results, "w", encoding="utf-8") as out:
            out.write('<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n')
            out.write(f'<testsuite name={quoteattr(self.suite)} tests="{len(self.cases)}" failures="{failed}">\n')
            for name, failure in self.cases:
                out.write(f"<testcase classname={quoteattr(self.suite)} name={quoteattr(name)} status=\"run\"")
                text = None if failure is None else quoteattr("".join(c for c in failure if c >= " " or c == "\n"))
                out.write("/>\n" if text is None else f"><failure message={text}/></testcase>\n")
            out.write("</testsuite>\n</testsuites>\n")
