"""The name that ws4py 0.x had for :mod:`ws4py.server.asyncioserver`, from the time when asyncio was called Tulip."""

from __future__ import annotations

from ws4py.server.asyncioserver import Server, WebSocketProtocol, serve

__all__ = ['Server', 'WebSocketProtocol', 'serve']
