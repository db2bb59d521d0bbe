"""What the examples with a page share; no example by itself: the options, the page at / and its websocket at /ws."""

import argparse
from pathlib import Path

from ws4py.exc import HTTPError
from ws4py.http11 import Headers, Response

HERE = Path(__file__).parent
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HTML = [
    ('Content-Type', 'text/html; charset=utf-8'),
    ('Cache-Control', 'no-cache'),
    ('Content-Security-Policy', POLICY),
]


def options(description):
    """A parser with --host and --port."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('--host', default='127.0.0.1', help='the address to listen on (127.0.0.1)')
    parser.add_argument('--port', default=9000, type=int, help='the port (9000); 0 takes a free one')
    return parser


def tell(host, port, scheme='http', path=''):
    """Say where the page is."""
    print(f'{scheme}://{host}:{port}/{path}', flush=True)


def own_page_only(request):
    """A ``process_request`` that refuses pages of other sites: they could open a websocket here as well."""
    origin, host = request.headers.get('Origin'), request.headers.get('Host', '')
    if origin is not None and origin.lower().partition('://')[2] != host.lower():
        raise HTTPError(403, 'this websocket is for its own page only')


def site(page):
    """A ``process_request`` for a whole site: the file *page* at /, a websocket for it at /ws, and nothing else."""

    def process_request(request):
        path = request.target.partition('?')[0]
        if path == '/':
            return Response(200, headers=Headers(HTML), body=(HERE / page).read_bytes())
        if path != '/ws':
            raise HTTPError(404, 'there are / and /ws')
        return own_page_only(request)

    return process_request
