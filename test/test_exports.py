"""The names that applications rely on: each `__all__`, and what ws4py 0.x documented, with its parameters.

A name that stands here goes only after two minor releases of warnings.
"""

from __future__ import annotations

import importlib
import inspect
import threading
import unittest
from pathlib import Path
from unittest import mock

PACKAGE = Path(__file__).resolve().parents[1] / 'ws4py'
PROGRAMS = {'ws4py.__main__'}

# What the manual of 0.x names, module by module; `Class.name` is a method, property or class attribute.
DOCUMENTED = {
    'ws4py': 'WS_KEY WS_VERSION __version__ configure_logger format_addresses',
    'ws4py.exc': 'WebSocketException ProtocolException FrameTooLargeException UnsupportedFrameTypeException '
    'TextFrameEncodingException InvalidBytesError StreamClosed HandshakeError',
    'ws4py.framing': 'Frame Frame.parser Frame.build Frame.mask Frame.unmask OPCODE_CONTINUATION OPCODE_TEXT '
    'OPCODE_BINARY OPCODE_CLOSE OPCODE_PING OPCODE_PONG',
    'ws4py.messaging': 'Message Message.single Message.fragment Message.extend TextMessage TextMessage.is_text '
    'TextMessage.is_binary BinaryMessage BinaryMessage.is_text BinaryMessage.is_binary CloseControlMessage '
    'PingControlMessage PongControlMessage',
    'ws4py.streaming': 'Stream Stream.text_message Stream.binary_message Stream.has_message Stream.close Stream.ping '
    'Stream.pong Stream.receiver Utf8Validator',
    'ws4py.utf8validator': 'Utf8Validator Utf8Validator.decode Utf8Validator.reset Utf8Validator.validate '
    'Utf8Validator.UTF8_ACCEPT Utf8Validator.UTF8_REJECT',
    'ws4py.websocket': 'WebSocket WebSocket.opened WebSocket.closed WebSocket.close WebSocket.received_message '
    'WebSocket.ponged WebSocket.unhandled_error WebSocket.ping WebSocket.send WebSocket.once WebSocket.process '
    'WebSocket.run WebSocket.terminate WebSocket.terminated WebSocket.connection WebSocket.close_connection '
    'WebSocket.local_address WebSocket.peer_address WebSocket._write EchoWebSocket EchoWebSocket.received_message '
    'Heartbeat Heartbeat.start Heartbeat.stop Heartbeat.run Heartbeat.__enter__ Heartbeat.__exit__',
    'ws4py.manager': 'select WebSocketManager WebSocketManager.add WebSocketManager.remove WebSocketManager.stop '
    'WebSocketManager.run WebSocketManager.start WebSocketManager.join WebSocketManager.close_all '
    'WebSocketManager.broadcast WebSocketManager.__len__ WebSocketManager.__iter__ WebSocketManager.__contains__ '
    + ' '.join(
        f'{poller} {poller}.register {poller}.unregister {poller}.poll {poller}.release'
        for poller in ('SelectPoller', 'EPollPoller', 'KQueuePoller')
    ),
    'ws4py.compat': 'py3k unicode basestring range ord urlsplit get_connection detach_connection',
    'ws4py.client': 'socket WebSocketBaseClient WebSocketBaseClient.bind_addr WebSocketBaseClient.connect '
    'WebSocketBaseClient.close WebSocketBaseClient.close_connection WebSocketBaseClient.handshake_headers '
    'WebSocketBaseClient.handshake_request WebSocketBaseClient.process_response_line '
    'WebSocketBaseClient.process_handshake_header WebSocketBaseClient.handshake_ok',
    'ws4py.client.threadedclient': 'WebSocketClient WebSocketClient.daemon WebSocketClient.run_forever '
    'WebSocketClient.handshake_ok',
    'ws4py.server.wsgiutils': 'WebSocketWSGIApplication WebSocketWSGIApplication.make_websocket',
    'ws4py.server.wsgirefserver': 'WebSocketWSGIApplication WebSocketWSGIHandler WebSocketWSGIHandler.http_version '
    'WebSocketWSGIHandler.setup_environ WebSocketWSGIHandler.finish_response WebSocketWSGIRequestHandler '
    'WebSocketWSGIRequestHandler.handle WSGIServer WSGIServer.initialize_websockets_manager '
    'WSGIServer.link_websocket_to_server WSGIServer.shutdown_request WSGIServer.server_close',
}

# The same for modules that need a framework.
WITH_FRAMEWORK = {
    'ws4py.async_websocket': 'WebSocket EchoWebSocket',
    'ws4py.client.geventclient': 'WebSocketClient WebSocketClient.receive WebSocketClient.handshake_ok',
    'ws4py.client.tornadoclient': 'TornadoWebSocketClient TornadoWebSocketClient.connect '
    'TornadoWebSocketClient.close_connection',
    'ws4py.server.cherrypyserver': 'WebSocketTool WebSocketTool.upgrade WebSocketTool.complete '
    'WebSocketTool.cleanup_headers WebSocketTool.start_handler WebSocketPlugin WebSocketPlugin.start '
    'WebSocketPlugin.stop WebSocketPlugin.handle WebSocketPlugin.cleanup WebSocketPlugin.broadcast',
    'ws4py.server.geventserver': 'WSGIServer WebSocketWSGIHandler GEventWebSocketPool WebSocketWSGIApplication',
    'ws4py.server.tulipserver': 'WebSocketProtocol',
}
FRAMEWORK_SIGNATURES = {
    'ws4py.async_websocket.WebSocket': 'proto',
    'ws4py.client.geventclient.WebSocketClient': 'url protocols=None extensions=None heartbeat_freq=None '
    'ssl_options=None headers=None exclude_headers=None',
    'ws4py.client.geventclient.WebSocketClient.receive': 'self block=True',
    'ws4py.client.tornadoclient.TornadoWebSocketClient': 'url protocols=None extensions=None io_loop=None '
    'ssl_options=None headers=None exclude_headers=None',
    'ws4py.server.cherrypyserver.WebSocketTool.upgrade': 'self protocols=None extensions=None version=(8,_13) '
    'handler_cls=WebSocket heartbeat_freq=None',
    'ws4py.server.cherrypyserver.WebSocketPlugin': 'bus',
    'ws4py.server.cherrypyserver.WebSocketPlugin.handle': 'self ws_handler peer_addr',
    'ws4py.server.cherrypyserver.WebSocketPlugin.broadcast': 'self message binary=False',
    'ws4py.server.tulipserver.WebSocketProtocol': 'handler_cls',
}

# The first parameters of what is called by position, and their defaults where 0.x had some (a space is written `_`).
SIGNATURES = {
    'ws4py.configure_logger': 'stdout=True filepath=None level=20',
    'ws4py.framing.Frame': "opcode=None body=b'' masking_key=None fin=0 rsv1=0 rsv2=0 rsv3=0",
    'ws4py.messaging.Message': "opcode data encoding='utf-8'",
    'ws4py.messaging.CloseControlMessage': "code=1000 reason=''",
    'ws4py.messaging.Message.single': 'self mask=False',
    'ws4py.messaging.Message.fragment': 'self first=False last=False mask=False',
    'ws4py.streaming.Stream': 'always_mask=False expect_masking=True',
    'ws4py.streaming.Stream.close': "self code=1000 reason=''",
    'ws4py.websocket.WebSocket': 'sock protocols=None extensions=None environ=None heartbeat_freq=None',
    'ws4py.websocket.WebSocket.send': 'self payload binary=False',
    'ws4py.websocket.WebSocket.close': "self code=1000 reason=''",
    'ws4py.websocket.WebSocket.closed': 'self code reason=None',
    'ws4py.websocket.Heartbeat': 'websocket frequency=2.0',
    'ws4py.manager.SelectPoller': 'timeout=0.1',
    'ws4py.manager.EPollPoller': 'timeout=0.1',
    'ws4py.manager.KQueuePoller': 'timeout=0.1',
    'ws4py.manager.WebSocketManager': 'poller=None',
    'ws4py.manager.WebSocketManager.broadcast': 'self message binary=False',
    'ws4py.manager.WebSocketManager.close_all': "self code=1001 message='Server_is_shutting_down'",
    'ws4py.client.WebSocketBaseClient': 'url protocols=None extensions=None heartbeat_freq=None ssl_options=None '
    'headers=None exclude_headers=None',
    'ws4py.client.threadedclient.WebSocketClient': 'url protocols=None extensions=None heartbeat_freq=None '
    'ssl_options=None headers=None exclude_headers=None',
    'ws4py.server.wsgiutils.WebSocketWSGIApplication': 'protocols=None extensions=None handler_cls=WebSocket',
    'ws4py.server.wsgiutils.WebSocketWSGIApplication.make_websocket': 'self sock protocols extensions environ',
}

# What the documentation names and only an instance has.
ATTRIBUTES = {
    'ws4py.framing.Frame': 'opcode body masking_key fin rsv1 rsv2 rsv3 payload_length parser',
    'ws4py.messaging.TextMessage': 'data encoding opcode completed',
    'ws4py.messaging.BinaryMessage': 'data encoding opcode completed',
    'ws4py.messaging.CloseControlMessage': 'data code reason',
    'ws4py.streaming.Stream': 'message pings pongs closing errors has_message parser always_mask expect_masking',
    'ws4py.manager.WebSocketManager': 'lock websockets running poller name',
    'ws4py.manager.SelectPoller': 'timeout _fds',
}
WEBSOCKET = (
    'stream protocols extensions sock environ heartbeat_freq client_terminated server_terminated terminated '
    'reading_buffer_size buf sock_timeout _is_secure close_code close_reason'
)
CLIENT = (
    'url host scheme port unix_socket_path resource bind_addr key extra_headers exclude_headers ssl_options '
    'handshake_headers handshake_request'
)


def find(dotted: str) -> object:
    """The object of that name; its module is the longest part of it that can be imported."""
    parts = dotted.split('.')
    for end in range(len(parts), 0, -1):
        try:
            found = importlib.import_module('.'.join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            found = getattr(found, part)
        return found
    raise ModuleNotFoundError(dotted)


def default(parameter: inspect.Parameter) -> str:
    if parameter.default is parameter.empty:
        return ''
    shown = parameter.default.__name__ if isinstance(parameter.default, type) else repr(parameter.default)
    return '=' + shown.replace(' ', '_')


def modules() -> list[str]:
    paths = (path.relative_to(PACKAGE.parent).with_suffix('') for path in sorted(PACKAGE.rglob('*.py')))
    names = {'.'.join(path.parts).removesuffix('.__init__') for path in paths}
    return sorted(names - PROGRAMS)


class Exports(unittest.TestCase):
    def test_every_name_in_all_is_there(self) -> None:
        missing = []
        for name in modules():
            try:
                module = importlib.import_module(name)
            except ModuleNotFoundError as error:  # a framework
                self.assertFalse(str(error.name).startswith('ws4py'), error)
                missing.append(f'{name}: {error}')
                continue
            exported = getattr(module, '__all__', None)
            with self.subTest(module=name):
                if exported is None:  # only a package of which nothing is used but its modules goes without
                    self.assertTrue(hasattr(module, '__path__'))
                    continue
                self.assertEqual(sorted(set(exported)), sorted(exported), 'each name once')
                self.assertEqual([absent for absent in exported if not hasattr(module, absent)], [])
        if missing:
            self.skipTest('; '.join(missing))

    def test_every_documented_name_is_there(self) -> None:
        for module, names in DOCUMENTED.items():
            for name in names.split():
                with self.subTest(name=f'{module}.{name}'):
                    find(f'{module}.{name}')

    def test_documented_classes_and_functions_are_exported(self) -> None:
        for module, names in DOCUMENTED.items():
            exported = importlib.import_module(module).__all__
            for name in names.split():
                found = find(f'{module}.{name}')
                if '.' not in name and (inspect.isclass(found) or inspect.isfunction(found)):
                    with self.subTest(name=f'{module}.{name}'):
                        self.assertTrue(name in exported or found.__module__ != module)

    def test_with_a_framework(self) -> None:
        missing = []
        for module, names in WITH_FRAMEWORK.items():
            try:
                exported = importlib.import_module(module).__all__
            except ModuleNotFoundError as error:
                self.assertFalse(str(error.name).startswith('ws4py'), error)
                missing.append(f'{module}: {error}')
                continue
            for name in names.split():
                with self.subTest(name=f'{module}.{name}'):
                    find(f'{module}.{name}')
                    self.assertTrue('.' in name or name in exported)
            for name, expected in FRAMEWORK_SIGNATURES.items():
                if name.startswith(f'{module}.'):
                    self.check_signature(name, expected)
        if missing:
            self.skipTest('; '.join(missing))

    def test_signatures(self) -> None:
        for name, expected in SIGNATURES.items():
            self.check_signature(name, expected)

    def check_signature(self, name: str, expected: str) -> None:
        with self.subTest(name=name):
            parameters = inspect.signature(find(name)).parameters.values()  # type: ignore[arg-type]
            wanted = expected.split()
            positional = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD][: len(wanted)]
            shown = [p.name + (default(p) if '=' in given else '') for p, given in zip(positional, wanted)]
            self.assertEqual(shown, wanted)

    def test_attributes_of_instances(self) -> None:
        for name, attributes in ATTRIBUTES.items():
            instance = find(name)()  # type: ignore[operator]
            for attribute in attributes.split():
                with self.subTest(name=f'{name}.{attribute}'):
                    self.assertTrue(hasattr(instance, attribute))

    def test_attributes_of_websockets_and_clients(self) -> None:
        from ws4py.client import WebSocketBaseClient
        from ws4py.websocket import WebSocket

        client = WebSocketBaseClient('ws://127.0.0.1:9/')
        self.addCleanup(client.sock.close)
        for instance, attributes in ((WebSocket(mock.MagicMock()), WEBSOCKET), (client, f'{WEBSOCKET} {CLIENT}')):
            for attribute in attributes.split():
                with self.subTest(name=f'{type(instance).__name__}.{attribute}'):
                    self.assertTrue(hasattr(instance, attribute))

    def test_values_that_applications_compare_with(self) -> None:
        import ws4py
        from ws4py import framing, utf8validator

        self.assertEqual((ws4py.WS_KEY, ws4py.WS_VERSION), (b'258EAFA5-E914-47DA-95CA-C5AB0DC85B11', (8, 13)))
        data = (framing.OPCODE_CONTINUATION, framing.OPCODE_TEXT, framing.OPCODE_BINARY)
        control = (framing.OPCODE_CLOSE, framing.OPCODE_PING, framing.OPCODE_PONG)
        self.assertEqual((data, control), ((0, 1, 2), (8, 9, 10)))
        validator = utf8validator.Utf8Validator
        self.assertEqual((validator.UTF8_ACCEPT, validator.UTF8_REJECT), (0, 1))

    def test_the_tree_of_exceptions(self) -> None:
        from ws4py import exc

        for name in (set(exc.__all__) - {'StreamClosed'}) | {'WebSocketException'}:
            self.assertTrue(issubclass(getattr(exc, name), exc.WebSocketException), name)
        self.assertEqual(exc.StreamClosed.__bases__, (Exception,))

    def test_threads(self) -> None:
        from ws4py.manager import WebSocketManager
        from ws4py.websocket import Heartbeat

        self.assertTrue(issubclass(WebSocketManager, threading.Thread))
        self.assertTrue(issubclass(Heartbeat, threading.Thread))


if __name__ == '__main__':
    unittest.main()
