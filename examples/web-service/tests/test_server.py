from __future__ import annotations

import json
import threading
import unittest
from http.server import ThreadingHTTPServer
from unittest.mock import patch
from urllib.error import HTTPError
from urllib.request import urlopen

from service.server import Handler


class Server(unittest.TestCase):
    def setUp(self) -> None:
        quiet = patch.object(Handler, "log_message")
        quiet.start()
        self.addCleanup(quiet.stop)
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        self.addCleanup(server.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(server.shutdown)

    def get(self, path: str) -> str:
        with urlopen(self.address + path, timeout=5) as answer:
            return answer.read().decode()

    def test_it_greets_whoever_asks(self) -> None:
        self.assertEqual(self.get("/?name=Ada&language=fr"), "Bonjour, Ada!\n")

    def test_it_says_which_version_it_is(self) -> None:
        self.assertEqual(json.loads(self.get("/version")), {"version": "unpacked"})

    def test_it_says_that_it_is_well(self) -> None:
        self.assertEqual(json.loads(self.get("/healthz")), {"status": "ok"})

    def test_it_has_no_other_pages(self) -> None:
        with self.assertRaises(HTTPError) as refused:
            self.get("/../etc/passwd")
        refused.exception.close()
        self.assertEqual(refused.exception.code, 404)
