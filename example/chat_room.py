"""A room in which everybody hears what anybody says; test_chat_room.py tests it."""

from typing import ClassVar

from ws4py.broadcasting import broadcast
from ws4py.limits import Limits
from ws4py.websocket import WebSocket


class Chat(WebSocket):
    limits = Limits(message_size=2000, ping_interval=30, ping_timeout=10)
    members: ClassVar = set()

    def opened(self):
        self.members.add(self)

    def received_message(self, message):
        if message.is_text:
            broadcast(list(self.members), message)
        else:
            self.close(1003, 'this room is for text')

    def closed(self, code, reason=None):
        self.members.discard(self)
