"""Many clients in one thread: a manager drives them all, until Ctrl-C says goodbye to the server."""

import sys
import threading

from ws4py import configure_logger, format_addresses
from ws4py.client import WebSocketBaseClient
from ws4py.manager import WebSocketManager

logger = configure_logger()
manager = WebSocketManager()


class EchoClient(WebSocketBaseClient):
    def handshake_ok(self):
        logger.info('Opening %s', format_addresses(self))
        manager.add(self)

    def received_message(self, message):
        logger.info('%s', message)


if __name__ == '__main__':
    url = sys.argv[1] if len(sys.argv) > 1 else 'ws://127.0.0.1:9000/'
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    manager.start()
    try:
        for _ in range(count):
            EchoClient(url, heartbeat_freq=30).connect()
        manager.broadcast('hello from each of us')
        threading.Event().wait()
    except KeyboardInterrupt:
        logger.info('%d clients close', len(manager))
    finally:
        try:
            manager.close_all(code=1000, message='Bye')
        finally:  # also at a second Ctrl-C
            manager.stop()
            manager.join()
