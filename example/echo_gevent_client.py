"""Send some messages in one greenlet and receive the answers in another one."""

import sys

import gevent

from ws4py.client.geventclient import WebSocketClient


def incoming(ws):
    """Print messages until ``None`` says that there are no more."""
    while True:
        message = ws.receive()
        if message is None:
            break
        print(f'=> {len(message)} {message}')
        if len(message) == 35:
            ws.close(reason='Bye bye')


def send_a_bunch(ws):
    for size in range(0, 40, 5):
        ws.send('*' * size)


if __name__ == '__main__':
    ws = WebSocketClient(sys.argv[1] if len(sys.argv) > 1 else 'ws://localhost:9000/', protocols=['http-only', 'chat'])
    ws.connect()
    gevent.joinall([gevent.spawn(incoming, ws), gevent.spawn(send_a_bunch, ws)], raise_error=True)
    print('closed', ws.close_code, ws.close_reason)
