"""Echo benchmarks, side by side: ours and the peers' servers under the same load, interleaved in one run.

    python bench [--rounds 5] [--seconds 1] [SERVER ...]

Each server is a process of its own, the load comes from this one (:mod:`load`). Rounds go through all servers in
alternating order, so that what else the machine does falls on everybody alike. What counts are the ratios: of echoes
per second, and beside them of the server's CPU time per echo as the operating system accounts it, because on a small
machine the generator may be the limit and not the server.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

from load import Load, Sample
from servers import SERVERS

#: (connections, frames in flight on each, bytes of payload)
WORKS = ((1, 1, 16), (1, 64, 16), (100, 1, 16), (100, 1, 1024), (10, 1, 65536), (4, 1, 1 << 20))
OURS = 'ws4py'
SCRIPT = Path(__file__).with_name('servers.py')


class Server:
    """A server process, until the end of the ``with`` block."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> Server:
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPT), self.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f'the server {self.name} did not start')
        self.port = int(line)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.process.stdin.close()  # which it takes as the end
        self.process.wait()
        self.process.stdout.close()

    def cpu_seconds(self) -> float:
        """CPU time that the process has used so far."""
        fields = Path(f'/proc/{self.process.pid}/stat').read_text().rpartition(')')[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def measure(server: Server, work: tuple[int, int, int], seconds: float) -> Sample:
    """One round of one server."""
    before = server.cpu_seconds()
    with Load(server.port, *work) as load:
        sample = load.run(seconds)
    return sample._replace(cpu=server.cpu_seconds() - before)


def main() -> None:
    parser = argparse.ArgumentParser(prog='bench', description='Echo benchmarks, side by side.')
    parser.add_argument('servers', nargs='*', metavar='SERVER', help=f'of {", ".join(SERVERS)} (default: all)')
    parser.add_argument('--rounds', type=int, default=5, help='rounds of each work (default: %(default)s)')
    parser.add_argument('--seconds', type=float, default=1.0, help='length of a round (default: %(default)s)')
    arguments = parser.parse_args()
    names = list(dict.fromkeys([OURS, *(arguments.servers or SERVERS)]))
    unknown = set(names) - set(SERVERS)
    if unknown:
        parser.error(f'unknown server {", ".join(sorted(unknown))}')

    print(
        f'{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores, {platform.system()}'
    )
    print(f'{"connections x in flight x bytes":<34}{"server":<14}{"echoes/s":>10}{"ratio":>8}{"CPU us":>9}{"ratio":>8}')
    for work in WORKS:
        samples: dict[str, list[Sample]] = {name: [] for name in names}
        for turn in range(arguments.rounds):
            for name in names if turn % 2 == 0 else reversed(names):
                with Server(name) as server:
                    measure(server, work, arguments.seconds / 5)  # warm up
                    samples[name].append(measure(server, work, arguments.seconds))
        report(work, samples)


def report(work: tuple[int, int, int], samples: dict[str, list[Sample]]) -> None:
    """Medians, and how many times ours does what the peer does (over 1: we are ahead)."""
    rates = {
        name: statistics.median(sample.echoes / sample.seconds for sample in rows) for name, rows in samples.items()
    }
    costs = {name: statistics.median(sample.cpu / sample.echoes for sample in rows) for name, rows in samples.items()}
    for name in samples:
        title = ' x '.join(map(str, work)) if name == OURS else ''
        print(
            f'{title:<34}{name:<14}{rates[name]:>10.0f}{rates[OURS] / rates[name]:>8.2f}'
            f'{costs[name] * 1e6:>9.1f}{costs[name] / costs[OURS]:>8.2f}',
            flush=True,
        )


if __name__ == '__main__':
    main()
