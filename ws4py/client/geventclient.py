"""A client for programs on gevent.

:meth:`WebSocketClient.connect` waits as greenlets do and leaves a greenlet behind, which receives and calls the hooks.
Messages wait in a queue, until another greenlet asks for them::

    client = WebSocketClient('ws://localhost:9000/echo')
    client.connect()
    client.send('hello')
    print(client.receive())

A subclass that overrides ``received_message`` has them brought instead, and then nothing is queued. The sockets are
gevent's own, so nothing has to be monkey-patched.
"""

from __future__ import annotations

import contextlib
from typing import Any, Optional, Union

import gevent
import gevent.event
import gevent.queue
import gevent.socket

from ws4py import closecode
from ws4py.client import WebSocketBaseClient
from ws4py.greenlets import GreenletDriver, wrap_tls
from ws4py.messaging import BinaryMessage, Payload, TextMessage
from ws4py.reconnecting import Blocking
from ws4py.state import State

__all__ = ['Reconnecting', 'WebSocketClient']

CROWD = 256  # so many messages that wait for the application are enough


class _Messages(gevent.queue.Queue):  # type: ignore[misc]  # gevent has no types
    """Messages that wait for the application, and StopIteration behind the last one.

    While they are many, or large, nothing more is read from the server.
    """

    def __init__(self, client: WebSocketClient) -> None:
        super().__init__()
        self._client = client
        self._size = 0

    def add(self, message: Union[TextMessage, BinaryMessage]) -> None:
        """Put a message behind the others."""
        if self._crowded and self._client.state is not State.OPEN:
            return  # we have closed, and the application does not seem to be interested in more
        self.put(message)
        self.count(len(message.data))

    def get(self, block: bool = True, timeout: Optional[float] = None) -> Any:
        """The next message; StopIteration, again and again, once there are no more.

        :raises gevent.queue.Empty: there is none at the moment.
        """
        message = super().get(block, timeout)
        if message is StopIteration:
            self.put(message)
        else:
            self.count(-len(message.data))
        return message

    def count(self, size: int) -> None:
        """So many bytes more wait."""
        self._size += size
        self.look()

    def look(self) -> None:
        """Let the client read, or not; from any thread."""
        if self._client.messages is self:  # else these are messages of an earlier connection
            # The answer to our Close has to be read, whatever comes before it.
            self._client.crowd(self._crowded and self._client.state is State.OPEN)

    @property
    def _crowded(self) -> bool:
        return self.qsize() >= CROWD or self._size > self._client.limits.write_high_water


class WebSocketClient(WebSocketBaseClient):
    """A WebSocket client with a greenlet of its own; see the base class for the arguments.

    ``send``, ``ping`` and ``close`` may be called from any greenlet and from any thread, everything else from the
    greenlets of one thread.

    :ivar messages: the ``gevent.queue.Queue`` behind :meth:`receive`; can be iterated over as well.
    """

    messages: _Messages
    _driver_greenlet: Any = None

    def _prepare(self) -> None:
        self.messages = _Messages(self)

    @property
    def _sockets(self) -> Any:
        return gevent.socket

    def _wrap_tls(self, sock: Any) -> Any:
        return wrap_tls(self._tls_context(), sock, server_hostname=self._tls_name, do_handshake_on_connect=False)

    def handshake_ok(self) -> None:
        """Start the greenlet."""
        self._driver_greenlet = gevent.spawn(_drive, GreenletDriver(self), self.messages)

    def _give_up(self) -> None:
        super()._give_up()
        self.messages.put(StopIteration)

    def _abandon(self) -> None:
        """Let go of the last connection, and of its greenlet: two of them would read from the next one."""
        self._ended = True
        greenlet, driver = self._driver_greenlet, self._driver
        if isinstance(driver, GreenletDriver) and greenlet is not gevent.getcurrent():
            driver.end()
            greenlet.join(self.limits.close_timeout)  # a hook may be waiting for us
            greenlet.kill(timeout=self.limits.close_timeout)
        super()._abandon()

    def received_message(self, message: Union[TextMessage, BinaryMessage]) -> None:
        """Keep the message for :meth:`receive`; may be overridden."""
        self.messages.add(message)

    def receive(self, block: bool = True) -> Union[TextMessage, BinaryMessage, None]:
        """The next message, or None once the connection has ended.

        While nobody asks for messages, only some wait and no more are read from the server.

        :param block: wait for it. False: None also means that there is none at the moment, and ``terminated`` tells
            whether there will be one.
        """
        message: Any = StopIteration
        messages = None
        while message is StopIteration and messages is not self.messages:  # closed() may have connected again
            messages = self.messages
            try:
                message = messages.get(block)
            except gevent.queue.Empty:
                return None
        return None if message is StopIteration else message

    def close(self, code: int = closecode.NORMAL_CLOSURE, reason: Payload = '') -> None:
        """Begin the closing handshake, or answer the server's; see the base class."""
        super().close(code, reason)
        self.messages.look()

    def run_forever(self) -> None:
        """Wait until the connection has ended and ``closed()`` has returned.

        On Ctrl-C the closing handshake comes first: the connection is closed with 1000, its end is awaited (for the
        close timeout at most), and then ``KeyboardInterrupt`` goes to the caller.
        """
        try:
            self._wait()
        except KeyboardInterrupt:
            with contextlib.suppress(OSError, RuntimeError):  # it may have ended by itself at this moment
                self.close()
            self._wait()
            raise

    def _wait(self) -> None:
        greenlet = None
        while greenlet is not self._driver_greenlet:  # closed() may have connected again
            greenlet = self._driver_greenlet
            greenlet.join()


def _drive(driver: GreenletDriver, messages: _Messages) -> None:
    try:
        driver.run()
    finally:
        messages.put(StopIteration)


class Reconnecting(Blocking):
    """Clients of this module, one after the other: each is connected again when its connection is lost.

    ::

        gevent.spawn(Reconnecting(lambda: EchoClient('ws://localhost:9000/echo')).run_forever)

    See :class:`ws4py.reconnecting.Reconnecting` for the arguments. All of it is for the greenlets of one thread, which
    may kill the one that is in :meth:`~ws4py.reconnecting.Blocking.run_forever` as well: its connection is closed.
    """

    _event = gevent.event.Event
