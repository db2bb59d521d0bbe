"""Metrics for Prometheus, by its own library ``prometheus_client`` (``pip install ws4py[prometheus]``).

:class:`PrometheusObserver` registers these metrics, and :func:`ws4py.metrics.observed` fills them:

- ``ws4py_connections`` (gauge): open connections
- ``ws4py_opened_total``: connections that were opened
- ``ws4py_closes_total{code}``: how they ended; codes without a registered meaning are ``other``
- ``ws4py_messages_total{direction,type}``: ``received`` or ``sent``, ``text`` or ``binary``
- ``ws4py_messages_dropped_total``: messages not sent, because the peer was too slow
- ``ws4py_bytes_total{direction}``: bytes of frames, before TLS
- ``ws4py_queue_bytes``, ``ws4py_queue_longest_bytes`` (gauges): what waits to be sent in all connections, and in one
- ``ws4py_latency_seconds`` (histogram): from a ping of ``limits.ping_interval`` to its pong

Every label has few values, whatever a peer does. How they are shown is the application's choice: the library's
``start_http_server()``, its WSGI or ASGI application, a push.
"""

from __future__ import annotations

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from ws4py.metrics import Connections, Observer, close_label
from ws4py.websocket import WebSocket

__all__ = ['PrometheusObserver']

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds


class PrometheusObserver(Observer):
    """Counts in the metrics of ``prometheus_client``. Safe from any thread.

    One for all handler classes is enough: a registry takes each metric once.

    :param registry: where the metrics are registered.
    :raises ValueError: the registry has them already.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._connections = Connections()
        both, kinds = ('received', 'sent'), ('text', 'binary')

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f'ws4py_{name}', text, labels, registry=registry)

        self._opened = counter('opened', 'Connections opened.')
        self._closes = counter('closes', 'Connections ended, by close code.', 'code')
        messages = counter('messages', 'Messages received and sent.', 'direction', 'type')
        self._received, self._sent = ([messages.labels(way, kind) for kind in kinds] for way in both)
        self._dropped = counter('messages_dropped', 'Messages not sent to peers that are too slow.')
        amount = counter('bytes', 'Bytes of frames received and sent.', 'direction')
        self._bytes_received, self._bytes_sent = (amount.labels(way) for way in both)
        self._latency = Histogram(
            'ws4py_latency_seconds', 'Seconds from a ping to its pong.', buckets=BUCKETS, registry=registry
        )
        gauges = {
            'connections': ('Open connections.', lambda: len(self._connections)),
            'queue_bytes': ('Bytes that wait to be sent.', lambda: self._connections.queues().total),
            'queue_longest_bytes': ('Bytes that wait in one connection.', lambda: self._connections.queues().longest),
        }
        for name, (text, look) in gauges.items():
            Gauge(f'ws4py_{name}', text, registry=registry).set_function(look)

    def opened(self, websocket: WebSocket) -> None:
        """See :meth:`ws4py.metrics.Observer.opened`."""
        self._connections.add(websocket)
        self._opened.inc()

    def closed(self, websocket: WebSocket, code: int) -> None:
        """See :meth:`ws4py.metrics.Observer.closed`."""
        self._connections.remove(websocket)
        self._closes.labels(close_label(code)).inc()

    def message_received(self, websocket: WebSocket, size: int, binary: bool) -> None:
        """See :meth:`ws4py.metrics.Observer.message_received`."""
        self._received[binary].inc()

    def message_sent(self, websocket: WebSocket, size: int, binary: bool) -> None:
        """See :meth:`ws4py.metrics.Observer.message_sent`."""
        self._sent[binary].inc()

    def message_dropped(self, websocket: WebSocket, size: int, binary: bool) -> None:
        """See :meth:`ws4py.metrics.Observer.message_dropped`."""
        self._dropped.inc()

    def bytes_received(self, websocket: WebSocket, size: int) -> None:
        """See :meth:`ws4py.metrics.Observer.bytes_received`."""
        self._bytes_received.inc(size)

    def bytes_sent(self, websocket: WebSocket, size: int) -> None:
        """See :meth:`ws4py.metrics.Observer.bytes_sent`."""
        self._bytes_sent.inc(size)

    def latency(self, websocket: WebSocket, seconds: float) -> None:
        """See :meth:`ws4py.metrics.Observer.latency`."""
        self._latency.observe(seconds)
