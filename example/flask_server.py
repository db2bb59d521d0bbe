"""A Flask application with a websocket beside it: python example/flask_server.py, then open the page it names.

Both are WSGI applications in one process and on one port; the path decides. The websocket knows who is logged in from
Flask's own session, and a view may talk to everybody: curl -d text=hello http://127.0.0.1:9000/say
"""

import contextlib

import flask
from serving import options, own_page_only, tell

from ws4py.server.wsgirefserver import WebSocketWSGIRequestHandler, WSGIServer, make_server
