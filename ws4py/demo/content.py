"""What a server of the demo has besides its echo: the chat and its page, the files of a directory, or neither.

:func:`file_answer` is for trying something out, on one's own machine: files are read whole, by whoever serves the
websockets too. It goes nowhere but into the directory, follows no link that leads out of it, has nothing whose name
begins with a dot, and lists nothing. Whoever may write to the directory is trusted.
"""

from __future__ import annotations

import mimetypes
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from ws4py.demo.pages import Answer, answer, refuse_method, text_answer

__all__ = ['Content', 'file_answer']

LARGEST = 64 * 2**20  # bytes of a file
INDEX = 'index.html'

# What Python itself knows, and not what a machine may have in its own tables.
TYPES = mimetypes.MimeTypes()
for _kind, _ending in (
    ('text/javascript', '.js'),
    ('text/javascript', '.mjs'),
    ('application/wasm', '.wasm'),
    ('application/manifest+json', '.webmanifest'),
    ('image/webp', '.webp'),
    ('font/woff2', '.woff2'),
):
    TYPES.add_type(_kind, _ending)


@dataclass(frozen=True)
class Content:
    """What is served.

    :ivar chat: with the chat's websocket at ``/ws``.
    :ivar directory: its files are there in place of the chat's page.
    """

    chat: bool = True
    directory: Optional[str] = None

    def answer(self, method: str, path: str) -> Answer:
        """The answer to a request that is not for a websocket; ``path`` is decoded and without its query."""
        if self.directory is not None:
            return file_answer(self.directory, method, path)
        return answer(method, path) if self.chat else text_answer(404, 'There is /echo.')


def file_answer(directory: str, method: str, path: str) -> Answer:
    """The file of that path in the directory, or a refusal.

    :param path: decoded, from its first slash on; one that ends in a slash is for ``index.html``.
    """
    refused = refuse_method(method)
    if refused is not None:
        return refused
    missing = text_answer(404, 'There is no such file.')
    _, *folders, name = path.split('/') if path.startswith('/') else ('', '/')
    if not all(map(_is_plain, [*folders, name or INDEX])):
        return missing
    try:
        root = Path(directory).resolve(strict=True)
        file = root.joinpath(*folders, name or INDEX).resolve(strict=True)
        if not all(map(_is_plain, file.relative_to(root).parts)):  # where links lead to
            return missing
        if name and file.is_dir():
            return text_answer(301, 'With a slash.', [('Location', urllib.parse.quote(f'{path}/'))])
        if not file.is_file():  # reading from a pipe would wait
            return missing
        if file.stat().st_size > LARGEST:
            return text_answer(403, f'The file has more than {LARGEST} bytes.')
        body = file.read_bytes()
    except (OSError, ValueError, RuntimeError):  # not there, not to be read, out of the directory, links in a circle
        return missing
    kind, encoding = TYPES.guess_type(file.name)
    kind = kind if kind is not None and encoding is None else 'application/octet-stream'
    charset = ';charset=utf-8' if kind.startswith('text/') else ''
    headers = [
        ('Content-Type', kind + charset),
        ('Content-Length', str(len(body))),
        ('X-Content-Type-Options', 'nosniff'),
        ('Cache-Control', 'no-cache'),
    ]
    return Answer(200, headers, body)


def _is_plain(name: str) -> bool:
    """Whether it is the name of a file or a directory, wherever it is used, and not a hidden one."""
    return name.isprintable() and not name.startswith('.') and name != '' and not set(name) & set('/\\:')
