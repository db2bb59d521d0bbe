"""WebSocket frames from anything but a socket: python example/feed_stream.py [FILE], a file of what a server has sent.

The parser is a generator. It yields how many bytes it could use, and is sent some: from a file, a serial line, a queue,
a test. Without a file the bytes come from memory, where another Stream has built them.
"""

import io
import sys

from ws4py.streaming import Stream


def recorded():
    """What a server might have sent: two messages, one of them in fragments with a ping between, and the end."""
    server = Stream(always_mask=False)
    return b''.join(
        [
            server.text_message('hello').single(),
            server.text_message('frag').fragment(first=True),
            server.ping(b'are you there?'),
            server.text_message('ments').fragment(last=True),
            server.close(1000, 'that is all').single(),
        ]
    )


def events(source):
    """Whatever is in the bytes of *source*, a binary file, in order."""
    stream = Stream(expect_masking=False)  # a server's frames are not masked
    wanted = next(stream.parser)
    while True:
        # 0 says that an event is ready and that bytes are still held: b'' goes on without new ones.
        data = source.read(wanted) if wanted else b''
        if wanted and not data:
            return  # the source has ended
        wanted = stream.parser.send(data)
        if stream.message is not None and stream.message.completed:
            yield 'message', str(stream.message)
            stream.message = None
        while stream.pings:
            yield 'ping', stream.pings.pop(0).data.decode()
        if stream.closing is not None or stream.errors:
            end = stream.closing or stream.errors[0]
            yield 'close' if stream.closing else 'error', f'{end.code} {end.reason.decode()}'
            return


if __name__ == '__main__':
    with open(sys.argv[1], 'rb') if len(sys.argv) > 1 else io.BytesIO(recorded()) as file:
        for kind, text in events(file):
            print(f'{kind}: {text}')
