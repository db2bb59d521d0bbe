"""websockets on asyncio or uvloop, with its new implementation."""

from __future__ import annotations

from common import announce, parse_arguments, run, tls_context
from websockets.asyncio.server import ServerConnection, broadcast, serve


def main() -> None:
    arguments = parse_arguments()

    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async def serve_forever() -> None:
        async def everybody(connection: ServerConnection) -> None:
            async for message in connection:
                broadcast(server.connections, message)

        async with serve(
            everybody if arguments.broadcast else echo,
            '127.0.0.1',
            arguments.port,
            compression='deflate' if arguments.deflate else None,
            max_size=None,
            ssl=tls_context(arguments),
        ) as server:
            announce(server.sockets[0].getsockname()[1])
            await server.serve_forever()

    run(serve_forever, arguments)


if __name__ == '__main__':
    main()
