"""The chat: who is in the room, and what one browser may say there.

A server of any kind makes a :class:`ChatWebSocket` for each connection to ``/ws``, with one :class:`Room` for all of
them, and calls it in whatever thread, greenlet or task it has. The room's lock is held for a look into a dictionary
only, never while something is sent: so it is safe from any thread, and holds up neither an event loop nor greenlets,
monkey-patched or not.

The chat's protocol. A text message is one JSON object with a ``type``. From a browser:

    {"type": "join", "name": "Ann"}     first of all; once more to change the name
    {"type": "say", "text": "hello"}    to everybody
    binary                              to everybody, as it is (the page puts a file's name and content into it)

From the server, which is the only one to say who speaks:

    {"type": "welcome", "id": 3, "name": "Ann", "peers": [{"id": 3, "name": "Ann"}, …], "limits": {…}}
    {"type": "join", "id": 4, "name": "Bob"}                somebody came, or changed the name
    {"type": "leave", "id": 4, "name": "Bob"}
    {"type": "say", "id": 3, "name": "Ann", "text": "hello"}     to the sender as well: everybody sees one order
    {"type": "error", "text": "…"}                          what was wrong with your last message; nothing is closed
    binary: four bytes, big-endian, the sender's id; then what was sent

An id is never given twice. A name is: printable, at most ``NAME_LIMIT`` characters, and in use by one peer at a time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import threading
import unicodedata
from typing import Any, Optional, Union

from ws4py.broadcasting import broadcast
from ws4py.limits import DEFAULT_LIMITS
from ws4py.websocket import WebSocket

__all__ = ['ChatWebSocket', 'Room']

NAME_LIMIT = 24  # characters
TEXT_LIMIT = 2000  # characters of what is said
JSON_LIMIT = 32 * 1024  # bytes of one JSON object: TEXT_LIMIT characters, each escaped in the longest way
BINARY_LIMIT = 1024 * 1024  # bytes
ROOM_LIMIT = 200  # peers


class Room:
    """The peers of one chat; safe from any thread."""

    def __init__(self) -> None:
        self._members: dict[int, ChatWebSocket] = {}
        self._ids = itertools.count(1)
        self._lock = threading.Lock()

    def enter(self, member: ChatWebSocket, wanted: str) -> None:
        """Let ``member`` in under the name ``wanted`` or one close to it; a member already inside is renamed.

        A full room answers with the close code 1013 (try again later).
        """
        with self._lock:
            full = not member.id and len(self._members) >= ROOM_LIMIT
            if not full:
                member.id = member.id or next(self._ids)
                member.name = self._free_name(wanted, member)
                self._members[member.id] = member
                peers = [{'id': other.id, 'name': other.name} for other in self._members.values()]
        if full:
            member.close(1013, 'The room is full')
            return
        limits = {'name': NAME_LIMIT, 'text': TEXT_LIMIT, 'binary': BINARY_LIMIT}
        member.tell(type='welcome', id=member.id, name=member.name, peers=peers, limits=limits)
        self.tell_all(but=member, type='join', id=member.id, name=member.name)

    def leave(self, member: ChatWebSocket) -> None:
        """Forget ``member`` and tell the others; one who never came in is ignored."""
        with self._lock:
            if self._members.pop(member.id, None) is None:
                return
        self.tell_all(type='leave', id=member.id, name=member.name)

    def tell_all(self, but: Optional[ChatWebSocket] = None, **fields: object) -> None:
        """Send one JSON object to everybody in the room, except to ``but``."""
        self.relay(json.dumps(fields), False, but)

    def relay(self, data: Union[str, bytes], binary: bool, but: Optional[ChatWebSocket] = None) -> None:
        """Send ``data`` to everybody in the room, except to ``but``, without waiting for who is slow or gone."""
        with self._lock:
            members = [member for member in self._members.values() if member is not but]
        broadcast(members, data, binary)

    def _free_name(self, wanted: str, member: ChatWebSocket) -> str:
        # NFKC and case folding: 'ann', 'ＡＮＮ' and 'Ann ' must not pass for one another.
        name = unicodedata.normalize('NFKC', wanted)
        name = ' '.join(''.join(char if char.isprintable() else ' ' for char in name).split())
        name = name[:NAME_LIMIT].strip() or f'Guest {member.id}'
        taken = {_name_key(other.name) for other in self._members.values() if other is not member}
        free = name
        for number in itertools.count(2):
            if _name_key(free) not in taken:
                break
            suffix = f' {number}'
            free = name[: NAME_LIMIT - len(suffix)] + suffix
        return free


def _name_key(name: str) -> str:
    return unicodedata.normalize('NFKC', name).casefold()


class ChatWebSocket(WebSocket):
    """One browser in the room: judges what it sends and passes it on under the name that the room gave it."""

    limits = dataclasses.replace(DEFAULT_LIMITS, message_size=BINARY_LIMIT, ping_interval=5.0)

    def __init__(self, *args: Any, room: Room, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.room = room
        self.id = 0  # given by the room; 0 is nobody
        self.name = ''

    def received_message(self, message: Any) -> None:
        """Take one message of this peer; a wrong one is answered with an ``error`` and does no harm."""
        try:
            if message.is_binary:
                self._require_joined()
                self.room.relay(self.id.to_bytes(4, 'big') + message.data, True)
            else:
                self._obey(_parse(message.data))
        except _Complaint as complaint:
            self.tell(type='error', text=str(complaint))

    def closed(self, code: int, reason: Any = None) -> None:
        """Leave the room, however the connection ended."""
        self.room.leave(self)

    def tell(self, **fields: object) -> None:
        """Send one JSON object to this peer, unless it is gone: then ``closed()`` takes it out of the room."""
        with contextlib.suppress(RuntimeError, OSError):
            self.send(json.dumps(fields))

    def _obey(self, fields: dict[str, object]) -> None:
        kind = fields.get('type')
        if kind == 'join':
            self.room.enter(self, _string(fields, 'name', JSON_LIMIT))
        elif kind == 'say':
            self._require_joined()
            text = _string(fields, 'text', TEXT_LIMIT)
            if text.strip():
                self.room.tell_all(type='say', id=self.id, name=self.name, text=text)
        else:
            raise _Complaint('The type of a message is "join" or "say".')

    def _require_joined(self) -> None:
        if not self.id:
            raise _Complaint('Send a "join" first.')


class _Complaint(Exception):
    """What is wrong with a peer's message, in words for that peer."""


def _parse(data: bytes) -> dict[str, object]:
    if len(data) > JSON_LIMIT:
        raise _Complaint(f'A text message has at most {JSON_LIMIT} bytes, this one has {len(data)}.')
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):  # the second: thousands of opening brackets
        raise _Complaint('A text message is a JSON object, this one is not JSON.') from None
    if not isinstance(fields, dict):
        raise _Complaint('A text message is a JSON object, this one is other JSON.')
    return fields


def _string(fields: dict[str, object], key: str, limit: int) -> str:
    value = fields.get(key)
    if not isinstance(value, str):
        raise _Complaint(f'A message of this type has a string "{key}".')
    if len(value) > limit:
        raise _Complaint(f'The {key} has at most {limit} characters, this one has {len(value)}.')
    return value
