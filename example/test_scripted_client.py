"""Tests of a client without a server: python -m unittest example/test_scripted_client.py"""

import unittest

from ws4py.client import WebSocketBaseClient
from ws4py.testing import ScriptedSocket, accepting, serve, text
from ws4py.websocket import EchoWebSocket


class Thermometer(WebSocketBaseClient):
    """Says how warm it is whenever the server asks."""

    broken = None

    def received_message(self, message):
        self.send('21.5' if str(message) == 'how warm?' else 'pardon?')

    def unhandled_error(self, error):
        self.broken = error


class ThermometerTest(unittest.TestCase):
    def test_it_answers_until_the_connection_breaks(self):
        error = ConnectionResetError('the cat has the cable')
        sock = ScriptedSocket(accepting(), text('how warm?') + text('how late?'), error)
        client = Thermometer('ws://127.0.0.1:9000/')
        client.sock.close()  # the real one
        client.sock = sock
        client.connect()
        client.run()
        self.assertEqual([frame.payload for frame in sock.frames], [b'21.5', b'pardon?'])
        self.assertIs(client.broken, error)

    def test_a_real_server(self):
        with serve(EchoWebSocket, 'asyncio') as server:
            client = Thermometer(server.url)
            client.connect()
            client.close()
            client.run()
        self.assertEqual(client.close_code, 1000)


if __name__ == '__main__':
    unittest.main()
