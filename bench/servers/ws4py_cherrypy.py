"""ws4py on CherryPy, with the manager."""

from __future__ import annotations

from typing import Any

import cherrypy
from common import announce, parse_arguments

from ws4py.server.cherrypyserver import WebSocketPlugin, WebSocketTool
from ws4py.websocket import EchoWebSocket, WebSocket


class Everybody(WebSocket):
    def received_message(self, message: Any) -> None:
        cherrypy.engine.publish('websocket-broadcast', message.data, message.is_binary)


class Root:
    @cherrypy.expose
    def index(self) -> None:
        """The tool makes a websocket of this connection."""


def main() -> None:
    arguments = parse_arguments()
    cherrypy.config.update(
        {
            'server.socket_host': '127.0.0.1',
            'server.socket_port': arguments.port,
            'server.socket_queue_size': 100,
            'engine.autoreload.on': False,
            'checker.on': False,
            'log.screen': False,
        }
    )
    cherrypy.tools.websocket = WebSocketTool()
    WebSocketPlugin(cherrypy.engine).subscribe()
    tool: dict[str, Any] = {
        'tools.websocket.on': True,
        'tools.websocket.handler_cls': Everybody if arguments.broadcast else EchoWebSocket,
    }
    if arguments.deflate:
        tool['tools.websocket.extensions'] = ['permessage-deflate']
    cherrypy.tree.mount(Root(), '/', {'/': tool})
    cherrypy.engine.start()
    announce(cherrypy.server.bound_addr[1])
    cherrypy.engine.block()


if __name__ == '__main__':
    main()
