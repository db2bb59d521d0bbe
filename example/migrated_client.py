"""A client of 0.6 after the move, with what had to change: python example/migrated_client.py wss://… [authority.pem]"""

import sys

from ws4py import configure_logger
from ws4py.client import WebSocketBaseClient
from ws4py.limits import Limits
from ws4py.manager import WebSocketManager

logger = configure_logger()
manager = WebSocketManager()


class Ticker(WebSocketBaseClient):
    # 0.6 took messages of any size, and never noticed a server that was gone without a word.
    limits = Limits(message_size=64 * 2**20, ping_interval=20, ping_timeout=20)

    def handshake_ok(self):
        manager.add(self)

    def received_message(self, message):
        logger.info('received %s', message)

    def closed(self, code, reason=None):  # 1006 says now that the connection broke, and nothing else
        logger.info('%s with %s', 'lost' if code == 1006 else 'closed', code)


def connect(url, authority=None):
    # Certificates and host names are verified. A certificate of one's own is named.
    client = Ticker(url, ssl_options={'ca_certs': authority} if authority else None)
    client.connect()
    return client


def say(client, text):
    try:
        client.send(text)
    except RuntimeError:  # we have closed it: 0.6 sent this behind its Close frame, where nobody reads
        logger.info('not sent: %s', text)


def show_all():
    # for ws in manager.websockets.itervalues(): …
    with manager.lock:
        for websocket in manager:
            logger.info('open to port %d', websocket.peer_address[1])


if __name__ == '__main__':
    manager.start()
    try:
        one = connect(*sys.argv[1:])
        say(one, 'hello')
        show_all()
        one.close()
        say(one, 'too late')
    finally:
        manager.stop()
        manager.join()
