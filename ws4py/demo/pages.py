"""The pages of the demo and their files, for servers of any kind.

Pure functions from a request to an :class:`Answer`. Nothing here is done by a websocket; who asks for one is
answered by the opening handshake, unless :func:`refuse_foreign` has something against it.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Optional

__all__ = ['Answer', 'answer', 'refuse_foreign', 'refuse_method', 'text_answer']

FILES = {
    '/': ('index.html', 'text/html;charset=utf-8'),
    '/chat.css': ('chat.css', 'text/css;charset=utf-8'),
    '/chat.js': ('chat.js', 'text/javascript;charset=utf-8'),
    '/icon.svg': ('icon.svg', 'image/svg+xml'),
    '/status': ('status.html', 'text/html;charset=utf-8'),
    '/status.css': ('status.css', 'text/css;charset=utf-8'),
    '/status.js': ('status.js', 'text/javascript;charset=utf-8'),
}

# Nothing inline and nothing from elsewhere; blob: shows the pictures that peers send.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = [
    ('Content-Security-Policy', CONTENT_SECURITY_POLICY),
    ('X-Content-Type-Options', 'nosniff'),
    ('X-Frame-Options', 'DENY'),
    ('Referrer-Policy', 'no-referrer'),
    ('Cross-Origin-Resource-Policy', 'same-origin'),
    ('Cache-Control', 'no-cache'),
]


@dataclass(frozen=True)
class Answer:
    """A response.

    :ivar headers: in order, ``Content-Length`` among them.
    :ivar body: to be left out, and only that, where the request was a HEAD.
    """

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def phrase(self) -> str:
        """Such as ``'Not Found'``."""
        return HTTPStatus(self.status).phrase


def answer(method: str, path: str) -> Answer:
    """The answer to a request that is not for a websocket; ``path`` is without its query."""
    if path not in FILES:
        return text_answer(404, 'There is /, /status, /metrics, /ws and /echo.')
    name, content_type = FILES[path]
    body = importlib.resources.files('ws4py.demo').joinpath(name).read_bytes()
    return refuse_method(method) or _build(200, body, content_type)


def refuse_foreign(origin: Optional[str], host: Optional[str]) -> Optional[Answer]:
    """The refusal of a handshake whose ``Origin`` is not the ``Host`` that it is for; None lets it in."""
    # A page of another site may open a websocket to us as well (RFC 6455 section 10.2): it could listen in on a
    # chat that is served on this machine only. Programs other than browsers send no Origin.
    if origin is None or origin.lower().partition('://')[2] == (host or '').lower():
        return None
    return text_answer(403, 'This is for its own page only.')


def refuse_method(method: str) -> Optional[Answer]:
    """The refusal of a request that wants something else than to read; None lets it in."""
    if method in ('GET', 'HEAD'):
        return None
    return text_answer(405, 'GET or HEAD only.', [('Allow', 'GET, HEAD')])


def text_answer(status: int, text: str, extra: Iterable[tuple[str, str]] = ()) -> Answer:
    """An answer of one line, which says why."""
    return _build(status, f'{text}\n'.encode(), 'text/plain;charset=utf-8', extra)


def _build(status: int, body: bytes, content_type: str, extra: Iterable[tuple[str, str]] = ()) -> Answer:
    return Answer(
        status, [('Content-Type', content_type), ('Content-Length', str(len(body))), *SECURITY_HEADERS, *extra], body
    )
