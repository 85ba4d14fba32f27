"""A running server with a control socket, and ways to talk to it: the command, and bare bytes."""

import json
import os
import socket

from cli_driver import WAIT_S, same


class Controlled:
    def __init__(self, bench, config=None, *arguments, name="control.sock", **options):
        self.bench = bench
        self.path = os.path.join(bench.folder, name)
        self.server, self.address = bench.serve(config, "--control", self.path, *arguments, **options)

    def run(self, *arguments, text=""):
        """A command to the server: what came of it."""
        return self.bench.run(*arguments, "--control", self.path, text=text)

    def good(self, *arguments, text=""):
        """The same; its standard output, once it has succeeded."""
        done = self.run(*arguments, text=text)
        assert done.returncode == 0, f"{arguments}: {done.returncode}, {done.stderr}"
        return done.stdout

    def json(self, *arguments, text=""):
        lines = self.good(*arguments, "--json", text=text).splitlines()
        same((arguments, len(lines)), (arguments, 1))
        return json.loads(lines[0])

    def bad(self, code, *arguments, text=""):
        """The same; its one line of standard error, once it has failed with this code."""
        done = self.run(*arguments, text=text)
        same((arguments, done.returncode, done.stdout), (arguments, code, ""))
        assert done.stderr.startswith("smartvpn: ") and done.stderr.count("\n") == 1, done.stderr
        return done.stderr

    def socket(self):
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        stream.connect(self.path)  # waits where the queue is full
        stream.settimeout(WAIT_S)
        return stream

    def call(self, method, **params):
        """A request of its own connection; its result, or its error."""
        with self.socket() as stream:
            stream.sendall(json.dumps({"id": 7, "method": method, "params": params}).encode() + b"\n")
            answer = json.loads(read_line(stream))
        same(answer.pop("id"), 7)
        return answer

    def call_or_refusal(self, method):
        """The same, where the server may refuse the connection itself."""
        with self.socket() as stream:
            try:
                stream.sendall(json.dumps({"id": 7, "method": method}).encode() + b"\n")
            except BrokenPipeError:
                pass
            return json.loads(read_line(stream))


def read_line(stream):
    """A line of the other side without its end; what there was of it if the other side ends first."""
    line = bytearray()
    while not line.endswith(b"\n"):
        try:
            chunk = stream.recv(65536)
        except ConnectionResetError:
            break
        if not chunk:
            break
        line += chunk
    return bytes(line).rstrip(b"\n")


def read_all(stream):
    data = bytearray()
    try:
        while chunk := stream.recv(65536):
            data += chunk
    except ConnectionResetError:
        pass
    return bytes(data)
