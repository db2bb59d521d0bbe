"""The state of a connection, as a table (RFC 6455 sections 4.1, 7.1.2 to 7.1.4).

::

    CONNECTING ──opened──► OPEN ──sent──────► CLOSE_SENT ──────received──┐
                            └─────received──► CLOSE_RECEIVED ──sent──────┴─► CLOSE_EXCHANGED
    any of them ──ended──► CLOSED

What the RFC calls CLOSING is split by whose Close frame has been seen. A WebSocket built on a connected socket starts
OPEN; a client starts CONNECTING. Pure data; the connection that owns a state guards it with its lock.
"""

from __future__ import annotations

import enum

__all__ = ['OPEN', 'TRANSITIONS', 'Event', 'State', 'after']


class State(enum.Enum):
    """Where a connection stands."""

    __hash__ = object.__hash__  # that of Enum is one of its name, and asked for with every frame

    CONNECTING = 'connecting'
    OPEN = 'open'
    CLOSE_SENT = 'close sent'
    CLOSE_RECEIVED = 'close received'
    CLOSE_EXCHANGED = 'close exchanged'
    CLOSED = 'closed'


class Event(enum.Enum):
    """What moves it."""

    __hash__ = object.__hash__

    OPENED = 'opened'  # the opening handshake is done
    SENT = 'sent'  # our Close frame is on its way
    RECEIVED = 'received'  # the peer's Close frame is here
    ENDED = 'ended'  # the TCP connection is gone


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.CONNECTING, Event.OPENED): State.OPEN,
    (State.OPEN, Event.SENT): State.CLOSE_SENT,
    (State.OPEN, Event.RECEIVED): State.CLOSE_RECEIVED,
    (State.CLOSE_SENT, Event.RECEIVED): State.CLOSE_EXCHANGED,
    (State.CLOSE_RECEIVED, Event.SENT): State.CLOSE_EXCHANGED,
    **{(state, Event.ENDED): State.CLOSED for state in State},
}

#: Asked for with every frame, and slow to find in an enumeration before Python 3.12.
OPEN = State.OPEN

#: The states in which our Close frame was sent, and those in which the peer's was received.
SENT = frozenset((State.CLOSE_SENT, State.CLOSE_EXCHANGED, State.CLOSED))
RECEIVED = frozenset((State.CLOSE_RECEIVED, State.CLOSE_EXCHANGED, State.CLOSED))

#: The state for (sent, received), for code that sets the two by hand.
BY_FLAGS = {
    (False, False): State.OPEN,
    (True, False): State.CLOSE_SENT,
    (False, True): State.CLOSE_RECEIVED,
    (True, True): State.CLOSE_EXCHANGED,
}


def after(state: State, event: Event) -> State:
    """The state that *event* leads to.

    :raises RuntimeError: it cannot happen in that state.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise RuntimeError(f'a connection in state {state.value!r} cannot be {event.value}') from None
