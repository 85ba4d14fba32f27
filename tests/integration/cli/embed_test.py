"""A stranger's program, examples/c/embed.c, serves the command: two programs against the same public header."""

import json
import os
import sys

from cli_driver import main, same

EMBED = os.path.abspath(sys.argv.pop(1))


def test_embed_serves_a_client_with_the_configuration_it_printed(bench):
    embed = bench.start_shell(f"exec {EMBED} 30")
    text = ""

    def whole(line):
        nonlocal text
        text += line
        try:
            return json.loads(text)
        except ValueError:
            return None

    config = embed.line("stdout", whole)
    config["forwarding"] = {"mode": "testing"}
    client = bench.start("connect", "--config", bench.file("alice.json", config), "--events")
    here, there = client.event("session_up"), embed.event("session_up", client_id="alice")
    same(here["addresses"], there["addresses"])
    same(client.stop(), 0)
    same(embed.event("session_down")["reason"], "peer_closed")


if __name__ == "__main__":
    main("cli.embed", sys.modules[__name__])
