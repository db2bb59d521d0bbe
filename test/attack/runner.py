"""Runs attacks on one server after another: one process for each, and one more where TLS is attacked."""

from __future__ import annotations

from typing import Any, Optional

import support_tls
from backends import servers

from . import frames, handshake, load
from .items import ATTACKS, Attack, NotOwned, Target

__all__ = ['ATTACKS', 'NAMES', 'Running']

MODULES = handshake, frames, load  # which have filled the list
ATTACKS.sort(key=lambda attack: attack.number)
NAMES = list(servers.SERVERS)


class Running:
    """The processes of one server; a context manager.

    :ivar faults: what was wrong with them at the end.
    """

    def __init__(self, name: str, heavy: bool = False) -> None:
        self.name = name
        self.heavy = heavy
        self.faults: list[str] = []
        self._plain: Optional[Target] = None
        self._tls: Optional[Target] = None

    def target(self, tls: bool) -> Target:
        """The process, which is started when it is first asked for."""
        if not tls:
            self._plain = self._plain or Target(self.name, self.heavy)
            return self._plain
        if self._tls is None:
            # The builtin TLS of cheroot shakes hands in the thread that accepts; its other one does not.
            name = f'{self.name}+pyopenssl' if self.name == 'cherrypy' else self.name
            files = support_tls.certificate_files('127.0.0.1')
            self._tls = Target(name, self.heavy, files, support_tls.client_context())
        return self._tls

    def attempt(self, attack: Attack) -> str:
        """The figure of an attack, after which the server still serves.

        :raises NotOwned, AssertionError: as the attack does.
        """
        target = Target(self.name, self.heavy) if attack.fresh else self.target(attack.tls)
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
        status = target.server.stop()
        if status or target.server.output:
            self.faults.append(f'ended with {status}: {target.server.output[-2000:]}')
