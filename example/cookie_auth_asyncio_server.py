"""A cookie says who it is: python example/cookie_auth_asyncio_server.py prints a link that logs a browser in.

A browser sends its cookies with a websocket, to the page of any site: that is why own_page_only() has to look at where
the page is from. This is no HTTP server that could read a form, hence the link; an application has its own login.
"""

import asyncio
import contextlib
from urllib.parse import parse_qs

from serving import options, site, tell
from tokens import sign, verify

from ws4py.exc import HTTPError
from ws4py.http11 import Headers, Response
from ws4py.server.asyncioserver import serve
from ws4py.websocket import WebSocket

MINUTE, DAY = 60, 24 * 60 * 60  # seconds


class Member(WebSocket):
    def opened(self):
        self.send(f'hello {self.environ["REMOTE_USER"]}')

    def received_message(self, message):
        self.send(f'{self.environ["REMOTE_USER"]} said {message}')


def login(request):
    path, _, query = request.target.partition('?')
    if path == '/login':
        name = verify('link', parse_qs(query).get('token', [''])[0])
        if name is None:
            raise HTTPError(403, 'this link is not good, or not any more')
        # With TLS it says Secure as well.
        cookie = f'session={sign("session", name, DAY)}; Max-Age={DAY}; Path=/; HttpOnly; SameSite=Strict'
        return Response(303, headers=Headers([('Location', '/'), ('Set-Cookie', cookie)]))


def known(request):
    pairs = [pair.strip().partition('=') for pair in request.headers.get('Cookie', '').split(';')]
    name = verify('session', {key: value for key, _, value in pairs}.get('session', ''))
    if name is None:
        raise HTTPError(403, 'log in first')
    request.environ['REMOTE_USER'] = name


async def main(host, port):
    async with serve(Member, host, port, process_request=[login, site('chat.html'), known]) as server:
        tell(host, server.sockets[0].getsockname()[1], path=f'login?token={sign("link", "ann", MINUTE)}')
        await server.serve_forever()


if __name__ == '__main__':
    chosen = options(__doc__).parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(chosen.host, chosen.port))
