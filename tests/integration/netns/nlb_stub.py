"""Stands in for an AWS Network Load Balancer: before every connection that it forwards it sends, byte for byte, a PROXY
v2 header as it was recorded from one, and once a recorded health check.

  nlb_stub.py LISTEN:PORT SOURCE TARGET:PORT HEADER_HEX HEALTH_HEX
"""
import select
import socket
import sys
import threading


def endpoint(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def relay(a, b):
    other = {a: b, b: a}
    while other:
        ready, _, _ = select.select(list(other), [], [], 60)
        if not ready:
            break
        for side in ready:
            data = side.recv(65536)
            if not data:
                other.clear()
                break
            other[side].sendall(data)
    a.close()
    b.close()


def main():
    listen, source, target = endpoint(sys.argv[1]), sys.argv[2], endpoint(sys.argv[3])
    header, health = bytes.fromhex(sys.argv[4]), bytes.fromhex(sys.argv[5])
    with socket.create_connection(target, 10, (source, 0)) as check:
        check.sendall(health)
        check.shutdown(socket.SHUT_WR)
        while check.recv(4096):
            pass
    server = socket.create_server(listen)
    print('{"type": "ready"}', flush=True)
    while True:
        client, _ = server.accept()
        upstream = socket.create_connection(target, 10, (source, 0))
        upstream.sendall(header)
        threading.Thread(target=relay, args=(client, upstream), daemon=True).start()


if __name__ == "__main__":
    main()
