"""A Django project and its websocket on one port: python example/django_server.py, then open the page it names.

The websocket knows a cookie that Django signed. A view talks to all: curl -d text=hello http://127.0.0.1:9000/news
"""

import contextlib
import secrets
from wsgiref.simple_server import make_server

from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import path
from serving import HERE, options, own_page_only, tell

from ws4py.server.wsgirefserver import WebSocketWSGIRequestHandler, WSGIServer
from ws4py.server.wsgiutils import WebSocketWSGIApplication
from ws4py.websocket import EchoWebSocket

templates = {'BACKEND': 'django.template.backends.django.DjangoTemplates', 'DIRS': [HERE]}
settings.configure(ROOT_URLCONF=__name__, SECRET_KEY=secrets.token_hex(), ALLOWED_HOSTS=['*'], TEMPLATES=[templates])


def page(request):
    name = request.get_signed_cookie('name', f'guest-{secrets.randbelow(1000)}')  # where others would log in
    response = render(request, 'neighbour.html', {'framework': 'Django', 'name': name})
    response.set_signed_cookie('name', name, httponly=True, samesite='Strict')
    return response


def news(request):
    server.manager.broadcast(request.POST['text'])  # from the thread of a view
    return HttpResponse('told\n')


urlpatterns = [path('', page), path('news', news)]


class Greeter(EchoWebSocket):
    def opened(self):
        self.send(f'Hello {WSGIRequest(self.environ).get_signed_cookie("name", "stranger")}!')


websocket = WebSocketWSGIApplication(handler_cls=Greeter, process_request=own_page_only)
project = get_wsgi_application()


def application(environ, start_response):
    return (websocket if environ['PATH_INFO'] == '/ws' else project)(environ, start_response)


chosen = options(__doc__).parse_args()
with make_server(chosen.host, chosen.port, application, WSGIServer, WebSocketWSGIRequestHandler) as server:
    server.initialize_websockets_manager()
    tell(chosen.host, server.server_port)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
