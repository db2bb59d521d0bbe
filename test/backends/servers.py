"""The servers: one function each, and the program that runs one of them with any handler class.

Run as a script, in whatever interpreter is to be tested; only the standard library and ws4py are needed, besides the
framework a server is named after. It listens on loopback, prints its port on the first line of standard output and
serves until its standard input ends, which also comes when its parent dies: no server is ever left behind.

    python servers.py wsgiref
    python servers.py asyncio+uvloop+wsaccel --handler matrix.handler:Handler --protocols chat,echo --tls cert.pem key

A name may be followed by variants: ``+wsaccel`` calls ``wsaccel.patch_ws4py()`` first, ``+uvloop`` is another event
loop for asyncio, ``+pyopenssl`` the other TLS of CherryPy, ``+deflate`` accepts permessage-deflate,
``+spread`` has the server take a second for its end.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import os
import ssl
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

TEST = Path(__file__).resolve().parents[1]
HOST = '127.0.0.1'
ECHO = 'ws4py.websocket:EchoWebSocket'


@dataclass(frozen=True)
class Service:
    """What is to be served.

    :ivar handler: the handler class.
    :ivar port: to listen on; 0 for a free one.
    :ivar protocols: the subprotocols supported.
    :ivar tls: the files of the certificate and of its key, for wss.
    :ivar variants: those of the name that are the server's own.
    :ivar terms: the keyword arguments that all servers take, such as ``origins``.
    """

    handler: Any
    port: int = 0
    protocols: Optional[list[str]] = None
    tls: Optional[tuple[str, str]] = None
    variants: frozenset[str] = frozenset()
    terms: dict[str, Any] = field(default_factory=dict)

    @property
    def spread(self) -> float:
        return SPREAD if 'spread' in self.variants else 0.0

    def ssl_context(self) -> Optional[ssl.SSLContext]:
        if self.tls is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*self.tls)
        return context


def everything_compressed() -> list[Any]:
    """What ``+deflate`` stands for: permessage-deflate for the shortest message too, and any way to have it."""
    from ws4py.permessage_deflate import PerMessageDeflate

    return [PerMessageDeflate(threshold=0), PerMessageDeflate(client_no_context_takeover=True, threshold=0)]


def announce(port: int, stop: Callable[[], object]) -> None:
    """Tell the parent that `port` is listening, and call `stop()` from a thread once standard input ends."""

    def watch() -> None:
        # Not sys.stdin.read(): a daemon thread inside a buffered read makes the interpreter abort at its exit.
        while os.read(0, 1024):
            pass
        stop()

    threading.Thread(target=watch, name='stdin', daemon=True).start()
    print(port, flush=True)


def serve_wsgiref(service: Service) -> None:
    from wsgiref.simple_server import make_server

    from ws4py.server.wsgirefserver import WebSocketWSGIRequestHandler, WSGIServer
    from ws4py.server.wsgiutils import WebSocketWSGIApplication

    server = make_server(
        HOST,
        service.port,
        WebSocketWSGIApplication(protocols=service.protocols, handler_cls=service.handler, **service.terms),
        server_class=WSGIServer,
        handler_class=WebSocketWSGIRequestHandler,
    )
    server.ssl_context = service.ssl_context()
    server.shutdown_spread = service.spread
    server.initialize_websockets_manager()
    announce(server.server_port, server.shutdown)
    try:
        server.serve_forever()
    finally:
        server.server_close()


def serve_cherrypy(service: Service) -> None:
    import cherrypy

    from ws4py.server.cherrypyserver import WebSocketPlugin, WebSocketTool

    class Root:
        @cherrypy.expose
        def default(self, *path: str, **query: str) -> None:
            """Every path is a websocket's."""

    config = {'server.socket_host': HOST, 'server.socket_port': service.port, 'engine.autoreload.on': False}
    config |= {'log.screen': False, 'server.socket_queue_size': 128}
    cherrypy._cprequest.Request.show_tracebacks = False  # before there is a configuration, too
    if service.tls is not None:
        module = 'pyopenssl' if 'pyopenssl' in service.variants else 'builtin'
        certificate, key = service.tls
        config |= {'server.ssl_module': module, 'server.ssl_certificate': certificate, 'server.ssl_private_key': key}
    cherrypy.config.update(config)
    plugin = WebSocketPlugin(cherrypy.engine)
    plugin.shutdown_spread = service.spread
    plugin.subscribe()
    cherrypy.tools.websocket = WebSocketTool()
    tool = {'on': True, 'handler_cls': service.handler, 'protocols': service.protocols, **service.terms}
    cherrypy.tree.mount(Root(), config={'/': {f'tools.websocket.{name}': value for name, value in tool.items()}})
    cherrypy.engine.start()
    announce(cherrypy.server.bound_addr[1], cherrypy.engine.exit)
    cherrypy.engine.block()


def serve_gevent(service: Service) -> None:
    import gevent
    import gevent.event

    from ws4py.server.geventserver import WebSocketWSGIApplication, WSGIServer

    application = WebSocketWSGIApplication(protocols=service.protocols, handler_cls=service.handler, **service.terms)
    options: dict[str, Any] = {'log': None}
    if service.tls is not None:
        options['certfile'], options['keyfile'] = service.tls
    server = WSGIServer((HOST, service.port), application, **options)
    server.start()
    stop = gevent.event.Event()
    bell = gevent.get_hub().loop.async_()  # what another thread may ring
    bell.start(stop.set)
    announce(server.server_port, bell.send)
    stop.wait()
    server.stop(spread=service.spread)


def serve_asyncio(service: Service) -> None:
    import asyncio

    from ws4py.server.asyncioserver import serve

    async def main() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        async with serve(
            service.handler,
            HOST,
            service.port,
            ssl=service.ssl_context(),
            protocols=service.protocols,
            **service.terms,
        ) as server:
            announce(server.sockets[0].getsockname()[1], lambda: loop.call_soon_threadsafe(stop.set))
            await stop.wait()
            server.close(spread=service.spread)

    asyncio.run(main())


def serve_tornado(service: Service) -> None:
    import asyncio

    from tornado.httpserver import HTTPServer
    from tornado.netutil import bind_sockets
    from tornado.web import Application

    from ws4py.server.tornadoserver import WebSocketHandler, close_all

    async def main() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        arguments = {'handler_cls': service.handler, 'protocols': service.protocols, **service.terms}
        application = Application([('/.*', WebSocketHandler, arguments)], log_function=lambda handler: None)
        # The one deadline of Tornado for a head, as its manual here advises: an hour unless something is said.
        server = HTTPServer(application, ssl_options=service.ssl_context(), idle_connection_timeout=10)
        sockets = bind_sockets(service.port, HOST)
        server.add_sockets(sockets)
        announce(sockets[0].getsockname()[1], lambda: loop.call_soon_threadsafe(stop.set))
        await stop.wait()
        server.stop()
        await close_all(application, spread=service.spread)
        await server.close_all_connections()

    asyncio.run(main())


#: Name, what runs it, and the module of the framework that it needs.
SERVERS: dict[str, tuple[Callable[[Service], None], Optional[str]]] = {
    'wsgiref': (serve_wsgiref, None),
    'cherrypy': (serve_cherrypy, 'cherrypy'),
    'gevent': (serve_gevent, 'gevent'),
    'asyncio': (serve_asyncio, None),
    'tornado': (serve_tornado, 'tornado'),
}
DEFLATE = 'deflate'
SPREAD = 1.0  # seconds
#: Variants, and the module that each needs.
VARIANTS = {'wsaccel': 'wsaccel', 'uvloop': 'uvloop', 'pyopenssl': 'OpenSSL', DEFLATE: None, 'spread': None}


def missing(name: str) -> list[str]:
    """The modules that server `name` (with its variants) needs and that are not here."""
    base, *variants = name.split('+')
    return not_installed([SERVERS[base][1], *map(VARIANTS.get, variants)])


def not_installed(modules: Iterable[Optional[str]]) -> list[str]:
    """Those of `modules` that are not here."""
    return [module for module in modules if module is not None and importlib.util.find_spec(module) is None]


def accelerate(variants: list[str]) -> None:
    """Do what the variants ask for that is not a server's own matter."""
    if 'wsaccel' in variants:
        import wsaccel

        wsaccel.patch_ws4py()
    if 'uvloop' in variants:
        import asyncio

        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())


def serve(name: str, handler: Any, *, port: int = 0, protocols: Any = None, tls: Any = None, terms: Any = None) -> None:
    """Serve until standard input ends.

    :param name: of the server, with its variants.
    :raises ModuleNotFoundError: what it needs is not installed.
    """
    base, *variants = name.split('+')
    accelerate(variants)
    terms = dict(terms or {})
    if DEFLATE in variants:
        terms.setdefault('extensions', everything_compressed())
    SERVERS[base][0](Service(handler, port, protocols, tls, frozenset(variants), terms))


def main() -> None:
    parser = argparse.ArgumentParser(description='One server, until standard input ends.')
    parser.add_argument('name', help=f'{", ".join(SERVERS)}; followed by variants: +{", +".join(VARIANTS)}')
    parser.add_argument('--handler', default=ECHO, help='its handler class, as module:class (default: %(default)s)')
    parser.add_argument('--port', type=int, default=0, help='to listen on (default: any free one)')
    parser.add_argument('--protocols', type=lambda text: text.split(','), help='subprotocols supported')
    parser.add_argument('--tls', nargs=2, metavar='FILE', help='certificate and key: serve wss')
    parser.add_argument('--terms', help='a dictionary of more arguments, as module:name')
    options = parser.parse_args()
    handler, terms = find(options.handler), options.terms and find(options.terms)
    with contextlib.suppress(KeyboardInterrupt):
        serve(options.name, handler, port=options.port, protocols=options.protocols, tls=options.tls, terms=terms)


def find(name: str) -> Any:
    """An object by its name, as ``module:name``."""
    module, _, name = name.partition(':')
    return getattr(importlib.import_module(module), name)


if __name__ == '__main__':
    # An installed ws4py wins over the checkout, which need not be installed at all.
    sys.path[:1] = [str(TEST)]
    sys.path.append(str(TEST.parent))
    main()
