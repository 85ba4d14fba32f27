"""The Prometheus text as Prometheus itself sees it: its linter finds nothing to say, and a real server scrapes it and
answers every query of the Grafana dashboard."""
import contextlib
import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse
import urllib.request

SOURCE, DASHBOARD = sys.argv.pop(1), sys.argv.pop(1)
WAIT_S = 60


class Source:
    """A running VPN server that gives its metrics on request."""

    def __init__(self):
        self.lock = threading.Lock()
        self.process = subprocess.Popen([SOURCE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def text(self):
        with self.lock:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
            lines = []
            for line in self.process.stdout:
                if line == "# end\n":
                    return "".join(lines)
                lines.append(line)
        raise AssertionError("the source of metrics has ended")

    def close(self):
        with contextlib.suppress(BrokenPipeError):  # it ended first, and its text said why
            self.process.stdin.close()
        try:
            self.process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def serve(source):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = source.text().encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class Prometheus:
    def __init__(self, folder, target):
        self.log = open(os.path.join(folder, "prometheus.log"), "w+")
        config = os.path.join(folder, "prometheus.yml")
        with open(config, "w") as file:
            json.dump({"scrape_configs": [{"job_name": "smartvpn", "scrape_interval": "500ms", "scrape_timeout": "500ms",
                                           "static_configs": [{"targets": [target]}]}]}, file)  # JSON is YAML
        for _ in range(5):  # somebody may take the port in between
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
                 f"--web.listen-address=127.0.0.1:{self.port}"], stdout=self.log, stderr=self.log)
            if self._answers():
                return
            self.close()
        raise AssertionError("prometheus does not start")

    def _answers(self):
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=5).status == 200
            except OSError:
                time.sleep(0.1)
        return False

    def query(self, expression):
        url = f"http://127.0.0.1:{self.port}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        try:
            answer = json.load(urllib.request.urlopen(url, timeout=10))
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{expression}: {error.read().decode()}")
        assert answer["status"] == "success", answer
        return answer["data"]["result"]

    def wait_for(self, expression):
        deadline = time.monotonic() + WAIT_S
        while not self.query(expression):
            if time.monotonic() > deadline:
                self.log.seek(0)
                raise AssertionError(f"no answer to {expression} within {WAIT_S} s\n{self.log.read()[-3000:]}")
            time.sleep(0.2)

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def panels(items):
    for panel in items:
        yield panel
        yield from panels(panel.get("panels", []))


def expressions():
    """(title, expression as Grafana would send it) of every target of the dashboard."""
    with open(DASHBOARD) as file:
        dashboard = json.load(file)
    variables = {v["name"]: v for v in dashboard["templating"]["list"]}
    for panel in panels(dashboard["panels"]):
        for target in panel.get("targets", []):
            expression = target["expr"].replace("$__rate_interval", "1m")
            for name in variables:
                expression = re.sub(r"\$" + name + r"\b", ".*", expression)
            assert "$" not in expression, expression
            yield panel["title"], expression
    for variable in variables.values():
        if variable["type"] == "query":
            yield variable["name"], re.search(r"label_values\(([^,]+),", variable["query"]).group(1)


class Metrics(unittest.TestCase):
    def setUp(self):
        self.source = Source()
        self.addCleanup(self.source.close)

    def test_promtool_has_nothing_to_say(self):
        text = self.source.text()
        self.assertIn('smartvpn_client_rtt_seconds{client="alice"}', text)
        checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60)
        self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, ""))

    def test_the_dashboard_finds_every_metric_it_names(self):
        folder = tempfile.mkdtemp(prefix="smartvpn-test-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        web = serve(self.source)
        self.addCleanup(web.server_close)
        self.addCleanup(web.shutdown)
        prometheus = Prometheus(folder, f"127.0.0.1:{web.server_address[1]}")
        self.addCleanup(prometheus.log.close)
        self.addCleanup(prometheus.close)
        prometheus.wait_for("count_over_time(up[1m]) >= 3 and up == 1")
        named, asked = set(), list(expressions())
        self.assertGreater(len(asked), 10)
        for title, expression in asked:
            with self.subTest(panel=title, expression=expression):
                named.update(re.findall(r"smartvpn_[a-z0-9_]+", expression))
                self.assertTrue(prometheus.query(expression), "an empty answer")
        self.assertGreater(len(named), 15)
        for metric in sorted(named):
            self.assertTrue(prometheus.query(f"count({metric})"), metric)


if __name__ == "__main__":
    unittest.main(verbosity=2)
