"""Logs in lines of JSON that know their connection: python example/logging_asyncio_server.py"""

import asyncio
import contextlib
import itertools
import json
import logging
import time

from serving import options, tell

from ws4py.server.asyncioserver import serve
from ws4py.websocket import EchoWebSocket

numbers = itertools.count(1)


class JSONLines(logging.Formatter):
    def format(self, record):
        fields = {'time': record.created, 'level': record.levelname, 'logger': record.name, 'text': record.getMessage()}
        if record.exc_info:
            fields['traceback'] = self.formatException(record.exc_info)
        return json.dumps({**fields, **getattr(record, 'fields', {})})  # which keeps what a peer says in one line


class Logged(EchoWebSocket):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.begun = time.monotonic()
        fields = {'connection': next(numbers), 'peer': self.peer_address[0], 'path': self.environ['PATH_INFO']}
        self.log = logging.LoggerAdapter(logging.getLogger('chat'), {'fields': fields})

    def opened(self):
        self.log.info('opened')

    def received_message(self, message):
        self.log.debug('received %r', message)  # its size and its first bytes
        super().received_message(message)

    def closed(self, code, reason=None):
        self.log.info('closed with %d %r after %.3f s', code, reason, time.monotonic() - self.begun)


async def main(host, port):
    async with serve(Logged, host, port) as server:
        tell(host, server.sockets[0].getsockname()[1])
        await server.serve_forever()


if __name__ == '__main__':
    parser = options(__doc__)
    parser.add_argument('--level', default='INFO', help='%(default)s, or DEBUG for every message')
    chosen = parser.parse_args()
    handler = logging.StreamHandler()
    handler.setFormatter(JSONLines())
    logging.basicConfig(level=chosen.level, handlers=[handler])
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(chosen.host, chosen.port))
