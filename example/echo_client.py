"""Send a message in fragments and some in one piece to an echo server, print what comes back, and say goodbye."""

import sys

from ws4py.client.threadedclient import WebSocketClient


class EchoClient(WebSocketClient):
    def opened(self):
        self.send(word for word in ('from ', 'a ', 'generator'))  # one message, sent in fragments
        for size in range(0, 200, 25):
            self.send('*' * size)

    def received_message(self, message):
        print(f'=> {len(message)} {message}')
        if len(message) == 175:
            self.close(reason='Bye bye')

    def closed(self, code, reason=None):
        print('closed', code, reason)


if __name__ == '__main__':
    client = EchoClient(sys.argv[1] if len(sys.argv) > 1 else 'ws://127.0.0.1:9000/')
    client.connect()
    client.run_forever()
