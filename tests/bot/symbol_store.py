"""A symbol server on loopback, with the faults that real ones have; a proxy in front of it."""

import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Store:
    """What a server has, by path, and what it does: ``fault`` by path is a status, "once:" and a status for the first
    request alone, "cut", "slow", "held", or "to:" and an address."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    gate: threading.Event = field(default_factory=threading.Event)  # what "held" waits for
    asked: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)  # what each request showed of who it is

    def add(self, directory: Path) -> "Store":
        """All files below a directory, at their places."""
        for path in directory.rglob("*"):
            if path.is_file():
                self.files["/" + path.relative_to(directory).as_posix()] = path.read_bytes()
        return self


class _Handler(BaseHTTPRequestHandler):
    store: Store

    def do_GET(self) -> None:
        store = self.store
        store.asked.append(self.path)
        store.shown.append(self.headers.get("Authorization", ""))
        fault = store.faults.get(self.path, store.faults.get("*", ""))
        body = store.files.get(self.path)
        if fault.startswith("once:"):
            store.faults[self.path] = ""
            fault = fault[5:]
        if fault.isdigit():
            self.send_error(int(fault))
        elif fault.startswith("to:"):
            self.send_response(302)
            self.send_header("Location", fault[3:])
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif body is None:
            self.send_error(404)
        else:
            self._send(body, fault)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _send(self, body: bytes, fault: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault == "held":
            self.store.gate.wait(20)
        if fault == "slow":
            self.wfile.write(body[:100])
            self.wfile.flush()
            time.sleep(1.5)
            body = body[100:]
        self.wfile.write(body[:-100] if fault == "cut" else body)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class' name
        pass


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[Store]:
    """A symbol server for as long as the context lasts, behind ``tls`` where given."""
    store = Store()
    handler = type("Handler", (_Handler,), {"store": store})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if tls is not None:  # the handshake belongs to the connection's own thread
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    store.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_address[1]}"
    with _running(server):
        yield store


@dataclass
class Proxy:
    """What a proxy was asked for: the whole address of a request, or host:port of a tunnel."""

    url: str = ""
    asked: list[str] = field(default_factory=list)


class _ProxyHandler(BaseHTTPRequestHandler):
    proxy: Proxy
    store: Store

    def do_GET(self) -> None:
        self.proxy.asked.append(self.path)
        body = self.store.files.get("/" + self.path.split("/", 3)[3])
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.send_error(404)

    def do_CONNECT(self) -> None:
        self.proxy.asked.append(self.path)
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port)), 5) as behind:
            self.send_response(200)
            self.end_headers()
            ends = {self.connection: behind, behind: self.connection}
            while readable := select.select(list(ends), [], [], 5)[0]:
                for one in readable:
                    data = one.recv(0x1_0000)
                    if not data:
                        return
                    ends[one].sendall(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class' name
        pass


@contextmanager
def proxying(store: Store) -> Iterator[Proxy]:
    """A proxy that answers for ``store`` whatever host is asked, and opens tunnels to loopback."""
    proxy = Proxy()
    handler = type("Handler", (_ProxyHandler,), {"proxy": proxy, "store": store})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    with _running(server):
        yield proxy


@contextmanager
def _running(server: ThreadingHTTPServer) -> Iterator[None]:
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
