"""A chat on CherryPy: python example/chat_cherrypy_server.py, then open the page it names."""

import cherrypy
from chat import Chat
from serving import HERE, HTML, options, own_page_only, tell

from ws4py.server.cherrypyserver import WebSocketPlugin, WebSocketTool


class Site:
    @cherrypy.expose
    def index(self):
        cherrypy.response.headers.update(dict(HTML))
        return (HERE / 'chat.html').read_bytes()

    @cherrypy.expose
    def ws(self):
        """The tool does it."""


if __name__ == '__main__':
    chosen = options(__doc__).parse_args()
    cherrypy.config.update(
        {
            'server.socket_host': chosen.host,
            'server.socket_port': chosen.port,
            'server.shutdown_timeout': 1,  # seconds; browsers keep connections open that they do not use
            'engine.autoreload.on': False,
        }
    )
    cherrypy.tools.websocket = WebSocketTool()
    WebSocketPlugin(cherrypy.engine).subscribe()
    cherrypy.engine.subscribe('start', lambda: tell(chosen.host, cherrypy.server.bound_addr[1]), priority=90)
    tool = {'on': True, 'handler_cls': Chat, 'process_request': own_page_only}
    cherrypy.quickstart(Site(), '/', {'/ws': {f'tools.websocket.{name}': value for name, value in tool.items()}})
