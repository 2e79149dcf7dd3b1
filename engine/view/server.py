"""Pages and their frames for a browser on this machine: nobody who does not know the address gets anything."""

from __future__ import annotations

import http.server
import json
import secrets
from collections.abc import Callable
from typing import Any

from nanobragg.engine.errors import BadInput
from nanobragg.engine.view.page import frame_info, packed
from nanobragg.engine.view.picture import Shown

HOST = "127.0.0.1"


def server(text: str, count: int, frame: Callable[[int], Shown]) -> tuple[http.server.ThreadingHTTPServer, str]:
    """A server of a page and ``count`` frames, and the address of the page, which has a secret in it."""
    token = secrets.token_urlsafe(16)

    class Handler(http.server.BaseHTTPRequestHandler):
        """Answers with the page, or with a frame and what is known of it."""

        def do_GET(self) -> None:
            """See the class."""
            given, _, rest = self.path.lstrip("/").partition("/")
            if not secrets.compare_digest(given.encode(), token.encode()):
                self.send_error(404)
                return
            kind, _, number = rest.partition("/")
            if not rest:
                self._answer("text/html; charset=utf-8", text.encode())
            elif kind in ("frame", "info") and number.isascii() and number.isdigit() and int(number[:9]) < count:
                self._send(kind, int(number))
            else:
                self.send_error(404)

        def _send(self, kind: str, number: int) -> None:
            try:
                found = frame(number)
            except (BadInput, OSError, MemoryError, ValueError, KeyError):
                self.send_error(500, "this frame cannot be read")
                return
            if kind == "frame":
                self._answer("application/octet-stream", packed(found.pixels))
            else:
                self._answer("application/json", json.dumps(frame_info(found)).encode())

        def _answer(self, kind: str, data: bytes) -> None:
            self.send_response(200)
            heads = {"Content-Type": kind, "Content-Length": str(len(data)), "Cache-Control": "no-store"}
            for name, value in (heads | {"Referrer-Policy": "no-referrer"}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing."""

    class Server(http.server.ThreadingHTTPServer):
        """Takes no notice of browsers that go away."""

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Say nothing."""

    own_server = Server((HOST, 0), Handler)
    own_server.daemon_threads = True
    return own_server, f"http://{HOST}:{own_server.server_address[1]}/{token}/"
