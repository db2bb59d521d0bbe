"""picows on asyncio or uvloop. It has no extensions."""

from __future__ import annotations

import picows
from common import announce, parse_arguments, run, tls_context


def main() -> None:
    arguments = parse_arguments()
    everybody: set[picows.WSTransport] = set()

    class Echo(picows.WSListener):
        def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
            if frame.msg_type == picows.WSMsgType.CLOSE:
                transport.send_close(frame.get_close_code(), frame.get_close_message())
                transport.disconnect()
            else:
                transport.send(frame.msg_type, frame.get_payload_as_memoryview())

    class Everybody(Echo):
        def on_ws_connected(self, transport: picows.WSTransport) -> None:
            everybody.add(transport)

        def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
            everybody.discard(transport)

        def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
            if frame.msg_type == picows.WSMsgType.CLOSE:
                super().on_ws_frame(transport, frame)
                return
            payload = frame.get_payload_as_bytes()
            for other in everybody:
                other.send(frame.msg_type, payload)

    async def serve_forever() -> None:
        server = await picows.ws_create_server(
            lambda request: Everybody() if arguments.broadcast else Echo(),
            '127.0.0.1',
            arguments.port,
            ssl=tls_context(arguments),
        )
        announce(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    run(serve_forever, arguments)


if __name__ == '__main__':
    main()
