"""Tests of chat_room.py: python -m pytest example/test_chat_room.py"""

from chat_room import Chat

from ws4py.client.threadedclient import WebSocketClient
from ws4py.testing import Pair, until

pytest_plugins = ['ws4py.testing.fixtures']  # for the last test


def test_everybody_hears_it():
    ann, bob = Pair(Chat), Pair(Chat)
    ann.client.send('hello')
    ann.deliver()  # to the server, which has it for both
    bob.deliver()
    assert ann.client.messages == bob.client.messages == ['hello']


def test_however_the_network_cuts_it():
    pair = Pair(Chat)
    pair.client.send('grüezi')
    pair.deliver(size=1)  # byte by byte
    assert pair.client.messages == ['grüezi']


def test_files_are_refused():
    pair = Pair(Chat)
    pair.client.send(b'\x89PNG', binary=True)
    pair.deliver()
    assert (pair.client.close_code, pair.client.close_reason) == (1003, b'this room is for text')


def test_who_is_silent_leaves_the_room():
    pair = Pair(Chat)
    pair.advance(95)  # seconds, in which three pings are answered
    assert pair.server in Chat.members
    pair.clock.advance(40)  # and now nothing gets through
    assert pair.server not in Chat.members


def test_on_real_sockets(serve):
    heard = []

    class Guest(WebSocketClient):
        def received_message(self, message):
            heard.append(str(message))

    server = serve(Chat)
    guest = Guest(server.url)
    guest.connect()
    until(lambda: server.connections)
    guest.send('hello')
    until(lambda: heard == ['hello'])
