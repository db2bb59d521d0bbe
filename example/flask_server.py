"""A Flask application and its websocket on one port: python example/flask_server.py, then open the page it names.

The websocket knows Flask's session. A view talks to all websockets: curl -d text=hello http://127.0.0.1:9000/news
"""

import contextlib
import secrets
from wsgiref.simple_server import make_server

import flask
from serving import HERE, options, own_page_only, tell

from ws4py.exc import HTTPError
from ws4py.server.wsgirefserver import WebSocketWSGIRequestHandler, WSGIServer
from ws4py.server.wsgiutils import WebSocketWSGIApplication
from ws4py.websocket import EchoWebSocket

app = flask.Flask(__name__, template_folder=HERE)
app.secret_key = secrets.token_bytes()


@app.get('/')
def page():
    name = flask.session.setdefault('name', f'guest-{secrets.randbelow(1000)}')  # where others would log in
    return flask.render_template('neighbour.html', framework='Flask', name=name)


@app.post('/news')
def news():
    server.manager.broadcast(flask.request.form['text'])  # from the thread of a view
    return 'told\n'


class Greeter(EchoWebSocket):
    def opened(self):
        self.send(f'Hello {self.environ["session.name"]}!')


def known(request):
    """A ``process_request``: Flask opens the cookie that it has signed."""
    with app.test_request_context(headers=[('Cookie', request.headers.get('Cookie', ''))]):
        if 'name' not in flask.session:
            raise HTTPError(403, 'visit the page first')
        request.environ['session.name'] = flask.session['name']


websocket = WebSocketWSGIApplication(handler_cls=Greeter, process_request=[own_page_only, known])


def application(environ, start_response):
    return (websocket if environ['PATH_INFO'] == '/ws' else app)(environ, start_response)


chosen = options(__doc__).parse_args()
with make_server(chosen.host, chosen.port, application, WSGIServer, WebSocketWSGIRequestHandler) as server:
    server.initialize_websockets_manager()
    tell(chosen.host, server.server_port)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
