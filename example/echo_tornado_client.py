"""Send some messages to an echo server, print what comes back, and stop the IOLoop when all is said."""

import sys

from tornado.ioloop import IOLoop

from ws4py.client.tornadoclient import TornadoWebSocketClient


class MyClient(TornadoWebSocketClient):
    def opened(self):
        for i in range(0, 200, 25):
            self.send('*' * i)

    def received_message(self, m):
        print(len(m), m)
        if len(m) == 175:
            self.close(reason='Bye bye')

    def closed(self, code, reason=None):  # called as well when there was no connection
        print('closed', code, reason)
        IOLoop.current().stop()


if __name__ == '__main__':
    url = sys.argv[1] if len(sys.argv) > 1 else 'ws://localhost:9000/echo'
    ws = MyClient(url, protocols=['http-only', 'chat'])
    ws.connect()
    IOLoop.current().start()
