"""websockets.sync."""

from __future__ import annotations

from common import conclude, url
from websockets.sync.client import connect


def main() -> None:
    messages = size = 0
    with connect(url(), compression=None, max_size=None) as client:
        for message in client:
            messages += 1
            size += len(message)
    conclude(messages, size)


if __name__ == '__main__':
    main()
