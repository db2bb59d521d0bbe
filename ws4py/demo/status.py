"""The status of the demo: what goes on in its chat and its echo, for a page and for Prometheus.

``/status`` is the page; it asks once a second through the websocket ``/live``. ``/metrics`` is for Prometheus, where
its library is installed. The page's own connection is not counted.
"""

from __future__ import annotations

import dataclasses
import json
import time
from typing import Any, TypeVar

from ws4py.demo.pages import SECURITY_HEADERS, Answer, refuse_method, text_answer
from ws4py.limits import DEFAULT_LIMITS
from ws4py.metrics import Counters, Observer, observed
from ws4py.websocket import WebSocket

try:
    import prometheus_client

    from ws4py.prometheus import PrometheusObserver
except ImportError:
    prometheus_client = None  # type: ignore[assignment]

__all__ = ['Status', 'StatusWebSocket']

Handler = TypeVar('Handler', bound=WebSocket)


class Status:
    """What is counted in one demo; safe from any thread."""

    def __init__(self) -> None:
        self.counters = Counters()
        self._observers: list[Observer] = [self.counters]
        self._registry: Any = None
        if prometheus_client is not None:
            self._registry = prometheus_client.CollectorRegistry()  # of this demo: a process may have several
            self._observers.append(PrometheusObserver(self._registry))

    def observed(self, handler_cls: type[Handler]) -> type[Handler]:
        """The handler class to be used in place of this one, so that it is counted."""
        return observed(handler_cls, *self._observers)

    def live(self, *args: Any, **options: Any) -> StatusWebSocket:
        """The handler of ``/live``."""
        return StatusWebSocket(*args, counters=self.counters, **options)

    def metrics(self, method: str) -> Answer:
        """The answer to a request for ``/metrics``."""
        refused = refuse_method(method)
        if refused is not None:
            return refused
        if self._registry is None:
            return text_answer(404, "For metrics: pip install 'ws4py[prometheus]'.")
        body = prometheus_client.generate_latest(self._registry)
        headers = [('Content-Type', prometheus_client.CONTENT_TYPE_LATEST), ('Content-Length', str(len(body)))]
        return Answer(200, [*headers, *SECURITY_HEADERS], body)


class StatusWebSocket(WebSocket):
    """Answers each message, whatever it is, with the numbers of the moment as a JSON object."""

    limits = dataclasses.replace(DEFAULT_LIMITS, message_size=1024)

    def __init__(self, *args: Any, counters: Counters, **options: Any) -> None:
        super().__init__(*args, **options)
        self._counters = counters

    def received_message(self, message: Any) -> None:
        """Answer. Rates are for the page to find out, hence the time: seconds of a clock that only goes forwards."""
        numbers = {'time': time.monotonic(), **dataclasses.asdict(self._counters.snapshot())}
        self.send(json.dumps(numbers))
