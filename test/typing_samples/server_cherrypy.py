"""CherryPy, which has no types of its own."""

from __future__ import annotations

import cherrypy  # type: ignore[import-untyped]
from handlers import Chat

from ws4py.limits import Limits
from ws4py.server.cherrypyserver import WebSocketPlugin, WebSocketTool


def main() -> None:
    plugin = WebSocketPlugin(cherrypy.engine)
    plugin.subscribe()
    cherrypy.tools.websocket = WebSocketTool()
    cherrypy.engine.publish('websocket-broadcast', 'hello')
    plugin.broadcast(b'bytes', binary=True)
    config = {'tools.websocket.on': True, 'tools.websocket.handler_cls': Chat, 'tools.websocket.limits': Limits()}
    cherrypy.quickstart(None, '/', {'/ws': config})
