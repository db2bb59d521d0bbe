"""Listen to a server with a greenlet, and connect again whenever the connection is lost. SIGTERM ends it."""

import signal
import sys

import gevent

from ws4py.backoff import Backoff
from ws4py.client.geventclient import Reconnecting, WebSocketClient


class Listener(WebSocketClient):
    def opened(self):  # of each connection
        self.send('subscribe')

    def received_message(self, message):
        print('=>', message, flush=True)


def tell(attempt):
    """Called before each attempt, the first one included. False would prevent it."""
    if attempt.number:
        print(f'{attempt.cause}: attempt {attempt.number} in {attempt.delay:.1f} s', flush=True)


if __name__ == '__main__':
    url = sys.argv[1] if len(sys.argv) > 1 else 'ws://127.0.0.1:9000/'
    client = Reconnecting(lambda: Listener(url), Backoff(initial=0.1, maximum=30), tell)
    gevent.signal_handler(signal.SIGTERM, client.stop)
    client.run_forever()  # others go on meanwhile
