"""The HTTP side of the service."""

from __future__ import annotations

import argparse
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from service.greetings import greet
from service.version import version


class Handler(BaseHTTPRequestHandler):
    """Answers / with a greeting, and /version and /healthz with JSON."""

    server_version = "web-service"

    def do_GET(self) -> None:
        """Answer one request."""
        url = urlsplit(self.path)
        if url.path == "/":
            asked = {key: values[-1] for key, values in parse_qs(url.query).items()}
            text = greet(asked.get("name", ""), asked.get("language", "en"))
            self._answer(200, "text/plain", text + "\n")
        elif url.path == "/version":
            self._answer(200, "application/json", json.dumps({"version": version()}) + "\n")
        elif url.path == "/healthz":
            self._answer(200, "application/json", '{"status": "ok"}\n')
        else:
            self._answer(404, "text/plain", "There is no such page.\n")

    def _answer(self, status: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Print one line for a request, flushed, so that it is seen at once."""
        print(f"{self.address_string()} {format % args}", flush=True)


def main() -> int:
    """Serve until interrupted. The first line printed is the address, whatever port it got."""
    parser = argparse.ArgumentParser(prog="web-service", description="Greets people over HTTP.")
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one")
    parser.add_argument("--version", action="version", version=version())
    options = parser.parse_args()
    with ThreadingHTTPServer(("127.0.0.1", options.port), Handler) as server:
        print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("Goodbye.", flush=True)
    return 0
