"""No request's body is larger than a site takes: what is larger is not even read."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings

CODE = "request.too-large"


class BodyLimit:
    """An ASGI application around another one, which sees bodies of bounded length only.

    Django would store a body of any length in a file before it looks at the request.
    """

    def __init__(self, application: Any, *, most: int | None = None) -> None:
        self._application = application
        self._most = most or settings.DATA_UPLOAD_MAX_MEMORY_SIZE

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve a request, or answer 413; a body that turns out too long ends the request."""
        if scope["type"] == "http" and _declared_length(scope) > self._most:
            await self._refuse(send)
            return
        came = 0

        async def receive_some() -> Any:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            return message if came <= self._most else {"type": "http.disconnect"}

        await self._application(scope, receive_some, send)

    async def _refuse(self, send: Any) -> None:
        # The shape of conveyor_site.api_errors, which is not imported before Django is set up.
        sentence = f"The body is larger than {self._most} bytes."
        document = {"code": CODE, "message": sentence, "problems": []}
        headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(document).encode()})


def _declared_length(scope: Any) -> int:
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(lengths[0][:18]) if lengths and lengths[0].isdigit() else 0
