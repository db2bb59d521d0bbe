"""Broadcasting: one message to many connections, whose frame is built once (and compressed once).

Whoever has connections (the manager, the servers on event loops) calls :func:`broadcast` with them, from any thread. No
peer is waited for: what one does not take waits in its outbox, up to its limits (:mod:`ws4py.sending`). Which
connections there are, and what becomes of slow ones, is not known here.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from typing import Any, Callable, Optional, Union

from ws4py.extensions import SharedMessage
from ws4py.messaging import BinaryMessage, Message, Payload, TextMessage
from ws4py.websocket import WebSocket

__all__ = ['broadcast']

logger = logging.getLogger('ws4py')


def broadcast(
    websockets: Iterable[Any],
    message: Union[Payload, Message, Iterable[Payload]],
    binary: bool = False,
    plain: Collection[Callable[..., Any]] = (WebSocket.send,),
) -> None:
    """Send *message* to all of *websockets*. One that it does not reach is logged and keeps it from no other.

    :param message: text, bytes, a Message, or an iterable of chunks, which are sent as fragments.
    :param binary: as for :meth:`ws4py.websocket.WebSocket.send`.
    :param plain: the ``send`` methods that do nothing but send; any other is an application's own, and is called.
    """
    shared: Optional[SharedMessage] = None
    if isinstance(message, (str, bytes, bytearray, memoryview)):
        whole = BinaryMessage(message) if binary and not isinstance(message, str) else TextMessage(message)
        shared = SharedMessage(whole)
    elif not isinstance(message, Message):
        message = list(message)  # each connection goes through it
    elif not message.opcode & 8:  # a control frame is no data frame, send() knows what it is
        shared = SharedMessage(message)
    for websocket in websockets:
        try:
            if shared is None or getattr(websocket.send, '__func__', None) not in plain:
                websocket.send(message, binary)
            else:
                websocket.broadcast(shared, websocket.stream.always_mask)
        except Exception:
            logger.info('a broadcast did not reach %r', websocket, exc_info=True)
