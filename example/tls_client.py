"""Say hello over TLS: python example/tls_client.py wss://localhost:9000/ certificate.pem"""

import sys

from ws4py.client.threadedclient import WebSocketClient


class Hello(WebSocketClient):
    def opened(self):
        self.send('hello')

    def received_message(self, message):
        print('=>', message)
        self.close()


url, authority = sys.argv[1:]
client = Hello(url, ssl_options={'ca_certs': authority})  # without it: an authority that the system trusts
client.connect()
client.run_forever()
