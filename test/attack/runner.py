"""Runs attacks on one target after another: one process for each, and one more where TLS is attacked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Optional

import support_tls
from backends import clients, servers

from . import frames, handshake, load, masks, responses
from .client_side import ClientTarget
from .items import ATTACKS, CLIENTS, MASKS, SERVERS, Attack, NotOwned, Target
from .server_side import ServerTarget

__all__ = ['SIDES', 'Running', 'attacks']

MODULES = frames, handshake, load, masks, responses  # which have filled the list
ATTACKS.sort(key=lambda attack: attack.number)


class Side(NamedTuple):
    """A kind of targets.

    :ivar option: what the command line calls one of them.
    :ivar names: all of them.
    :ivar missing: the modules that one needs and that are not here.
    :ivar start: one, with whether attacks take their full size.
    """

    option: str
    names: Sequence[str]
    missing: Callable[[str], list[str]]
    start: Callable[[str, bool], Any]


#: By what its targets are called together.
SIDES = {
    SERVERS: Side('server', list(servers.SERVERS), servers.missing, ServerTarget),
    CLIENTS: Side('client', clients.OURS, clients.missing, ClientTarget),
    MASKS: Side('mask', ['python', 'wsaccel', 'C'], masks.missing, masks.MaskTarget),
}


def attacks(kind: str) -> list[Attack]:
    """Those that are made on this kind of targets."""
    return [attack for attack in ATTACKS if kind in attack.on]


class Running:
    """The processes of one target; a context manager.

    :ivar faults: what was wrong with them at the end.
    """

    def __init__(self, kind: str, name: str, heavy: bool = False) -> None:
        self.side = SIDES[kind]
        self.name = name
        self.heavy = heavy
        self.faults: list[str] = []
        self._plain: Optional[Target] = None
        self._tls: Optional[Target] = None

    def target(self, tls: bool) -> Target:
        """The process, which is started when it is first asked for."""
        if not tls:
            self._plain = self._plain or self.side.start(self.name, self.heavy)
            return self._plain
        if self._tls is None:
            # The builtin TLS of cheroot shakes hands in the thread that accepts; its other one does not.
            name = f'{self.name}+pyopenssl' if self.name == 'cherrypy' else self.name
            files = support_tls.certificate_files('127.0.0.1')
            self._tls = ServerTarget(name, self.heavy, files, support_tls.client_context())
        return self._tls

    def attempt(self, attack: Attack) -> str:
        """The figure of an attack, after which the target still serves.

        :raises NotOwned, AssertionError: as the attack does.
        """
        target = self.side.start(self.name, self.heavy) if attack.fresh else self.target(attack.tls)
        try:
            target.still_serves()
            figure = attack.run(target)
            target.still_serves()
            return figure
        finally:
            if attack.fresh:
                self._stop(target)

    def run(self, attack: Attack) -> tuple[str, bool]:
        """The figure of an attack, or why there is none, and whether it has succeeded."""
        try:
            return self.attempt(attack), False
        except NotOwned as reason:
            return f'n/a: {reason}', False
        except (AssertionError, OSError, EOFError) as error:
            return f'MISSED: {type(error).__name__} {error}', True

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *exc_info: Any) -> None:
        for target in (self._plain, self._tls):
            if target is not None:
                self._stop(target)

    def _stop(self, target: Target) -> None:
        fault = target.stop()
        if fault:
            self.faults.append(fault)
