"""The metrics that Prometheus sees, scraped over HTTP, while connections come and go."""

from __future__ import annotations

import re
import unittest
import urllib.request
from typing import Any

from helpers import Case, Recorder, RecordingDriver, limited

from ws4py.metrics import observed

try:
    import prometheus_client

    from ws4py.prometheus import PrometheusObserver
except ImportError:
    prometheus_client = None  # type: ignore[assignment]

NAMES = {
    'ws4py_bytes_total': 'counter',
    'ws4py_closes_total': 'counter',
    'ws4py_connections': 'gauge',
    'ws4py_latency_seconds': 'histogram',
    'ws4py_messages_dropped_total': 'counter',
    'ws4py_messages_total': 'counter',
    'ws4py_opened_total': 'counter',
    'ws4py_queue_bytes': 'gauge',
    'ws4py_queue_longest_bytes': 'gauge',
}


@unittest.skipIf(prometheus_client is None, 'prometheus_client is not installed')
class Exporter(Case):
    def setUp(self) -> None:
        self.registry = prometheus_client.CollectorRegistry()
        self.observer = PrometheusObserver(registry=self.registry)
        server, thread = prometheus_client.start_http_server(0, '127.0.0.1', self.registry)
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.url = f'http://127.0.0.1:{server.server_port}/metrics'

    def scrape(self) -> tuple[dict[str, str], dict[str, float]]:
        """Types and samples, the latter with their labels in the name; without the times that the library adds."""
        with urllib.request.urlopen(self.url, timeout=10) as answer:
            text = answer.read().decode()
        types = dict(re.findall(r'^# TYPE (\S+) (\S+)$', text, re.MULTILINE))
        samples = {name: float(value) for name, value in re.findall(r'^([^#\s]\S*) (\S+)$', text, re.MULTILINE)}
        for names in (types, samples):
            for name in [name for name in names if '_created' in name]:
                del names[name]
        return types, samples

    def test_names_and_types(self) -> None:
        self.assertEqual(self.scrape()[0], NAMES)

    def test_a_life(self) -> None:
        self.assertEqual(self.scrape()[1]['ws4py_connections'], 0)
        handler_cls = observed(Recorder, self.observer)
        websocket, peer = self.pair(handler_cls)
        other, _ = self.pair(handler_cls)
        for each in (websocket, other):
            each.opened()
        peer.text('hello')
        peer.binary(b'abc')
        while len(websocket.named('message')) != 2:
            websocket.once()
        websocket.send('news')
        websocket.send(b'bytes', True)
        websocket.send(b'more', True)
        other.limits = limited(write_limit=10_000_000).limits
        other.attach(RecordingDriver(), True)
        other.send(bytes(5_000_000), True)
        waiting = other._outbox.size
        _, samples = self.scrape()
        expected: dict[str, Any] = {
            'ws4py_connections': 2,
            'ws4py_opened_total': 2,
            'ws4py_messages_total{direction="received",type="text"}': 1,
            'ws4py_messages_total{direction="received",type="binary"}': 1,
            'ws4py_messages_total{direction="sent",type="text"}': 1,
            'ws4py_messages_total{direction="sent",type="binary"}': 3,
            'ws4py_messages_dropped_total': 0,
            'ws4py_bytes_total{direction="received"}': (6 + 5) + (6 + 3),
            'ws4py_bytes_total{direction="sent"}': (2 + 4) + (2 + 5) + (2 + 4) + (10 + 5_000_000),
            'ws4py_queue_bytes': waiting,
            'ws4py_queue_longest_bytes': waiting,
            'ws4py_latency_seconds_count': 0,
        }
        self.assertGreater(waiting, 0)
        self.assertEqual({name: samples.get(name) for name in expected}, expected)
        self.assertFalse([name for name in samples if name.startswith('ws4py_closes')])

    def test_the_end_by_code(self) -> None:
        for code in (1000, 1000, 1011, 4001, 4002, 3999):
            websocket, _ = self.pair(observed(Recorder, self.observer))
            websocket.opened()
            websocket._failure = (code, '')
            websocket.terminate()
        _, samples = self.scrape()
        closes = {name: value for name, value in samples.items() if name.startswith('ws4py_closes')}
        total = 'ws4py_closes_total{code="%s"}'
        self.assertEqual(closes, {total % '1000': 2, total % '1011': 1, total % 'other': 3})
        self.assertEqual((samples['ws4py_connections'], samples['ws4py_queue_bytes']), (0, 0))

    def test_latency_and_drops(self) -> None:
        websocket, _ = self.pair()
        for seconds in (0.003, 0.03, 20.0):
            self.observer.latency(websocket, seconds)
        self.observer.message_dropped(websocket, 1, True)
        _, samples = self.scrape()
        bucket = 'ws4py_latency_seconds_bucket{le="%s"}'
        counts = [samples[bucket % limit] for limit in ('0.001', '0.005', '0.05', '10.0', '+Inf')]
        self.assertEqual(counts, [0, 1, 2, 2, 3])
        self.assertAlmostEqual(samples['ws4py_latency_seconds_sum'], 20.033)
        self.assertEqual(samples['ws4py_messages_dropped_total'], 1)

    def test_a_registry_takes_one(self) -> None:
        with self.assertRaises(ValueError):
            PrometheusObserver(registry=self.registry)

    def test_without_a_registry_it_is_the_one_of_the_library(self) -> None:
        PrometheusObserver()
        text = prometheus_client.generate_latest().decode()
        for name in NAMES:
            self.assertIn(f'# TYPE {name} ', text)


if __name__ == '__main__':
    unittest.main()
