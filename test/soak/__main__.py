"""``python -m soak``, from the directory above: wears out one server after the other, exits 1 when one has grown."""

from __future__ import annotations

import argparse
import sys

from backends import servers

from . import vanishing


def main() -> int:
    parser = argparse.ArgumentParser(prog='python -m soak', description='Clients that vanish in every way.')
    parser.add_argument('--server', action='append', choices=servers.SERVERS, help='repeatable (default: all)')
    parser.add_argument('--seconds', type=float, default=60.0, help='after as long a warm-up (default: %(default)s)')
    options = parser.parse_args()
    status = 0
    for name in options.server or servers.SERVERS:
        growth = vanishing.wear(name, options.seconds)
        print(
            f'{name}: {growth.clients} clients more: {growth.descriptors:+d} descriptors, '
            f'{growth.threads:+d} threads, {growth.memory / 2**20:+.1f} MiB',
            flush=True,
        )
        status = 1 if growth.excess() else status
    return status


if __name__ == '__main__':
    sys.exit(main())
