"""A chat: python example/echo_cherrypy_server.py, then open http://127.0.0.1:9000/ in a couple of tabs."""

import argparse
from pathlib import Path

import cherrypy

from ws4py.server.cherrypyserver import WebSocketPlugin, WebSocketTool
from ws4py.websocket import WebSocket

PAGE = Path(__file__).with_name('chat.html')


class ChatWebSocket(WebSocket):
    def received_message(self, message):
        cherrypy.engine.publish('websocket-broadcast', str(message))  # to everybody, the sender as well


class Chat:
    @cherrypy.expose
    def index(self):
        return PAGE.read_bytes()

    @cherrypy.expose
    def ws(self):  # the tool has made the ChatWebSocket, cherrypy.request.ws_handler; we may still refuse it
        if cherrypy.request.headers.get('Origin', cherrypy.request.base) != cherrypy.request.base:
            raise cherrypy.HTTPError(403, 'This chat is for its own page only.')


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description='A chat for all who open its page; Ctrl-C ends it.')
    parser.add_argument('--host', default='127.0.0.1')
    parser.add_argument('--port', default=9000, type=int, help='0 takes a free one, which the log tells')
    parser.add_argument('--ssl', nargs=2, metavar=('CERTIFICATE', 'KEY'), help='PEM files: serve https and wss')
    options = parser.parse_args()

    certificate, key = options.ssl or (None, None)
    cherrypy.config.update(
        {
            'server.socket_host': options.host,
            'server.socket_port': options.port,
            'server.ssl_certificate': certificate,
            'server.ssl_private_key': key,
            'server.shutdown_timeout': 1,  # seconds; a browser keeps connections open that it does not use
            'engine.autoreload.on': False,
        }
    )
    cherrypy.tools.websocket = WebSocketTool()
    WebSocketPlugin(cherrypy.engine).subscribe()
    cherrypy.quickstart(
        Chat(), '/', {'/ws': {'tools.websocket.on': True, 'tools.websocket.handler_cls': ChatWebSocket}}
    )
