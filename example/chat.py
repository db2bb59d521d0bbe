"""The handler of the chats, the same on every server; chat_wsgiref_server.py and its sisters mount it.

What somebody says goes to everybody, the sender included.
"""

import threading

from ws4py.broadcasting import broadcast
from ws4py.websocket import WebSocket

everybody = set()
lock = threading.Lock()  # some servers call opened() in one thread and closed() in another


class Chat(WebSocket):
    def opened(self):
        with lock:
            everybody.add(self)

    def received_message(self, message):
        with lock:
            present = list(everybody)
        broadcast(present, str(message))  # waits for nobody

    def closed(self, code, reason=None):
        with lock:
            everybody.discard(self)
