"""Certificates of an authority of a test's own, clients that verify them, and a target that speaks TLS."""

from __future__ import annotations

import contextlib
import pathlib
import queue
import socket
import ssl
import subprocess
import threading
from typing import Iterator, List, Optional, Tuple

import smartvpn
from relay_support import receive
from support import PATIENCE


class Authority:
    """Issues certificates with the openssl command; its files are in `folder`."""

    def __init__(self, folder: pathlib.Path, name: str = "authority") -> None:
        self._folder, self._issued = folder, 0
        self.file = str(folder / f"{name}.pem")
        self._key = str(folder / f"{name}.key")
        self._request(self.file, self._key, name, "basicConstraints=critical,CA:TRUE")

    def _request(self, out: str, key: str, subject: str, *extensions: str, signed: bool = False) -> None:
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        command += ["-days", "2", "-subj", f"/CN={subject}", "-keyout", key, "-out", out]
        for extension in extensions:
            command += ["-addext", extension]
        if signed:
            command += ["-CA", self.file, "-CAkey", self._key]
        subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)

    def issue(self, *names: str) -> smartvpn.Tls:
        """Files of a new certificate for these names and of its key."""
        self._issued += 1
        stem = str(self._folder / f"{pathlib.Path(self.file).stem}-{self._issued}")
        said = "subjectAltName=" + ",".join(f"DNS:{name}" for name in names)
        self._request(stem + ".pem", stem + ".key", "server", said, "basicConstraints=critical,CA:FALSE", signed=True)
        return smartvpn.Tls(stem + ".pem", stem + ".key")

    @contextlib.contextmanager
    def client(self, port: int, name: str, *protocols: str) -> Iterator[ssl.SSLSocket]:
        """One that verifies chain, dates and name, and takes no end without close_notify."""
        context = ssl.create_default_context(cafile=self.file)
        if protocols:
            context.set_alpn_protocols(list(protocols))
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as plain:
            with context.wrap_socket(plain, server_hostname=name, suppress_ragged_eofs=False) as peer:
                yield peer


def read(path: Optional[str]) -> str:
    assert path is not None
    return pathlib.Path(path).read_text()


def shown(peer: ssl.SSLSocket) -> Optional[bytes]:
    return peer.getpeercert(binary_form=True)


def der(certificate: smartvpn.Tls) -> bytes:
    return ssl.PEM_cert_to_DER_cert(read(certificate.certificate))


def asks_much(peer: ssl.SSLSocket, rounds: int = 32) -> bool:
    """Whether so many times 64 KiB come back as they went, each sent before the answer to the one before is read."""
    piece = bytes(range(256)) * 256
    peer.sendall(piece)
    for at in range(1, rounds + 1):
        if at < rounds:
            peer.sendall(bytes([at]) + piece[1:])
        if receive(peer, len(piece)) != bytes([at - 1]) + piece[1:]:
            return False
    return True


class TlsTarget:
    """A server on loopback that sends everything back, and keeps what each handshake has agreed on."""

    def __init__(self, certificate: smartvpn.Tls, *protocols: str) -> None:
        assert certificate.certificate is not None
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate.certificate, certificate.key)
        self._context.set_alpn_protocols(list(protocols))
        self._context.sni_callback = self._keep_name
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._names: "queue.Queue[Optional[str]]" = queue.Queue()
        self._protocols: "queue.Queue[Optional[str]]" = queue.Queue()
        self._threads: List[threading.Thread] = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _keep_name(self, _: object, name: Optional[str], __: object) -> None:
        self._names.put(name)

    def agreed(self) -> Tuple[Optional[str], Optional[str]]:
        """The next handshake's server name and protocol."""
        return self._names.get(timeout=PATIENCE), self._protocols.get(timeout=PATIENCE)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                plain = self._listener.accept()[0]
                plain.settimeout(PATIENCE)
                self._threads.append(threading.Thread(target=self._serve, args=(plain,), daemon=True))
                self._threads[-1].start()

    def _serve(self, plain: socket.socket) -> None:
        with plain, contextlib.suppress(OSError):
            with self._context.wrap_socket(plain, server_side=True) as peer:
                self._protocols.put(peer.selected_alpn_protocol())
                while True:
                    some = peer.recv(65536)
                    if not some:
                        break
                    peer.sendall(some)

    def __enter__(self) -> TlsTarget:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(PATIENCE)
