"""An echo whose metrics Prometheus reads at /metrics: python example/metrics_wsgiref_server.py"""

import contextlib
import dataclasses
from wsgiref.simple_server import make_server

from prometheus_client import make_wsgi_app

from ws4py.limits import DEFAULT_LIMITS
from ws4py.metrics import observed
from ws4py.prometheus import PrometheusObserver
from ws4py.server.wsgirefserver import WebSocketWSGIRequestHandler, WSGIServer
from ws4py.server.wsgiutils import WebSocketWSGIApplication
from ws4py.websocket import EchoWebSocket


class Echo(EchoWebSocket):
    limits = dataclasses.replace(DEFAULT_LIMITS, ping_interval=20)  # seconds; a pong tells the latency


echo = WebSocketWSGIApplication(handler_cls=observed(Echo, PrometheusObserver()))
metrics = make_wsgi_app()


def application(environ, start_response):
    chosen = metrics if environ['PATH_INFO'] == '/metrics' else echo
    return chosen(environ, start_response)


with make_server('127.0.0.1', 9000, application, WSGIServer, WebSocketWSGIRequestHandler) as server:
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
