"""A chat in a browser and an echo, the same on every server: what ``python -m ws4py serve`` runs.

It shows the library at work and is small enough to be read in one go; it is no framework and no product (nobody
signs in, nothing is stored, nobody is kept from flooding). ``/`` is the page, ``/ws`` its websocket, ``/echo`` an echo;
``/status`` shows live what goes on in them.

- :mod:`ws4py.demo.chat` is the chat, a handler like any other; :mod:`ws4py.demo.pages` is what goes over plain HTTP;
  :mod:`ws4py.demo.status` counts, and :mod:`ws4py.demo.site` is all of it together. They know no server.
- :mod:`ws4py.demo.wsgi` makes a WSGI application of them.
- ``on_wsgiref``, ``on_cherrypy`` … mount them on one server each. Every one of these modules has
  ``serve(host, port, tls, ready)``; only they import a framework.
"""

from __future__ import annotations

from ws4py.demo.chat import ChatWebSocket, Room
from ws4py.demo.wsgi import DemoApplication

__all__ = ['BACKENDS', 'ChatWebSocket', 'DemoApplication', 'Room']

#: What the demo runs on. There is a module ``on_…`` for each, and an extra of that name for those with a framework.
BACKENDS = ('wsgiref', 'cherrypy', 'gevent', 'asyncio', 'tornado')
