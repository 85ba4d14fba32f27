"""A host that carries a VPN server and a relay in one process, tied together: prints the events of both as lines of
JSON until it is ended.

    relay_host.py FILE    {"server": …, "relay": …}
"""
import json
import signal
import sys
import threading

import smartvpn


def tell(source):
    with source:
        for event in source:
            print(event.json(), flush=True)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        config = json.load(file)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    server = smartvpn.Server(json.dumps(config["server"]))
    relay = smartvpn.Relay(json.dumps(config["relay"]))
    for source in (server.events(), relay.events()):
        threading.Thread(target=tell, args=(source,), daemon=True).start()
    with server:
        relay.set_server(server)
        with relay:
            signal.sigwait({signal.SIGTERM})


if __name__ == "__main__":
    main()
