"""Motion sensors of telephones, live: python example/droid_sensor_cherrypy_server.py, then open the page it names.

The readings come from /sensor, a page for the telephone, or from droid_sensor.py. A browser gives a page its sensors
over https only: with --ssl CERTIFICATE KEY --host 0.0.0.0 a telephone can take part.
"""

import json
import math

import cherrypy
from serving import HERE, HTML, options, own_page_only, tell

from ws4py.limits import Limits
from ws4py.server.cherrypyserver import WebSocketPlugin, WebSocketTool
from ws4py.websocket import WebSocket


class Sensors(WebSocket):
    limits = Limits(message_size=1024)

    def received_message(self, message):
        try:  # {"name": "a telephone", "values": [x, y, z]}, in m/s²
            reading = json.loads(message.data)
            name, values = str(reading['name'])[:40], [float(value) for value in reading['values'][:3]]
        except (ValueError, RecursionError, TypeError, KeyError, OverflowError):
            values = []
        if len(values) == 3 and all(map(math.isfinite, values)):
            cherrypy.engine.publish('websocket-broadcast', json.dumps({'name': name, 'values': values}))
        else:
            self.close(1008, 'say {"name": "…", "values": [x, y, z]}')


def page(name):
    @cherrypy.expose
    def show(self):
        cherrypy.response.headers.update(dict(HTML))
        return (HERE / name).read_bytes()

    return show


class Site:
    index, sensor = page('droid_plot.html'), page('droid_sensor.html')
    ws = cherrypy.expose(lambda self: None)  # the tool does it


if __name__ == '__main__':
    parser = options(__doc__)
    parser.add_argument('--ssl', nargs=2, default=(None, None), metavar=('CERTIFICATE', 'KEY'), help='PEM files')
    chosen = parser.parse_args()
    files = {'server.ssl_certificate': chosen.ssl[0], 'server.ssl_private_key': chosen.ssl[1]}
    cherrypy.config.update({'server.socket_host': chosen.host, 'server.socket_port': chosen.port, **files})
    cherrypy.config.update({'server.shutdown_timeout': 1, 'engine.autoreload.on': False, 'log.screen': False})
    cherrypy.tools.websocket = WebSocketTool()
    WebSocketPlugin(cherrypy.engine).subscribe()
    scheme = 'https' if chosen.ssl[0] else 'http'
    cherrypy.engine.subscribe('start', lambda: tell(chosen.host, cherrypy.server.bound_addr[1], scheme), priority=90)
    tool = {'on': True, 'handler_cls': Sensors, 'process_request': own_page_only}
    cherrypy.quickstart(Site(), '/', {'/ws': {f'tools.websocket.{name}': value for name, value in tool.items()}})
