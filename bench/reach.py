"""How far ws4py wants to be ahead, and whether it is: claims, and what a run says of them.

A claim compares one of ours with the best of some peers in a work, by the rule of :mod:`ratios`. A promise compares one
of ours with itself in an easier work: its cost or its latency may be so many times as high at most.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ratios import compare, median
from results import Run

__all__ = ['CLAIMS', 'PROMISES', 'Claim', 'Promise', 'Verdict', 'verdicts']

ECHOES = ('pipelined', 'small', '1k', '64k', '1m')
LARGE = ('64k', '1m')
STEADY = 1.2  # times as much is still the same


@dataclass(frozen=True)
class Claim:
    """*ours* is at least *wanted* times as good as the best of *peers*."""

    work: str
    ours: str
    peers: tuple[str, ...]
    wanted: float


@dataclass(frozen=True)
class Promise:
    """The *figure* of *ours* in *work* is at most *most* times that in the *easier* one."""

    work: str
    easier: str
    ours: str
    figure: str
    most: float = STEADY


@dataclass(frozen=True)
class Verdict:
    """What a run says of a claim or a promise, in words.

    :ivar met: whether it holds; None where the run has not measured it.
    """

    work: str
    ours: str
    beside: str
    wanted: str
    found: str
    met: bool | None


def _claims() -> Iterator[Claim]:
    manager, loops = 'ws4py-wsgiref', {'ws4py-asyncio': '', 'ws4py-uvloop': '-uvloop'}
    yield Claim('pipelined', manager, ('picows-uvloop',), 1.5)
    for work in ('small', '1k'):
        yield Claim(work, manager, ('picows',), 1.1)
        yield Claim(work, manager, ('picows-uvloop',), 1.0)
    for work in LARGE:
        yield Claim(work, manager, ('picows',), 1.0)
    for work in ECHOES:
        yield Claim(work, manager, ('bare-python',), 0.5 if work == 'pipelined' else 0.85)
    for work in ECHOES:
        for ours, loop in loops.items():
            yield Claim(work, ours, (f'aiohttp{loop}',), 1.5)
            yield Claim(work, ours, (f'websockets{loop}',), 1.5 if work in LARGE else 3)
    for work in ECHOES:
        yield Claim(work, 'ws4py-pure', ('ws4py-0.6-wsaccel',), 1.1 if work in LARGE else 1.4)
    for ours in (manager, 'ws4py-asyncio'):
        for work in ('tls-256', 'tls-64k'):
            yield Claim(work, ours, ('picows',), 0.9)
            yield Claim(work, ours, ('aiohttp',), 1.3)
        yield Claim('deflate', ours, ('aiohttp',), 1.1)
        yield Claim('deflate', ours, ('websockets',), 1.4)
    for work in ('receive-16', 'receive-1k', 'receive-64k', 'receive-1m'):
        for peer in ('websocket-client', 'websockets-sync'):
            yield Claim(work, 'ws4py-client', (peer,), 2)
    yield Claim('memory', manager, ('websockets',), 6)
    yield Claim('memory', 'ws4py-asyncio', ('websockets',), 2)
    for ours, loop in loops.items():
        peers = tuple(f'{peer}{loop}' for peer in ('picows', 'aiohttp', 'websockets'))
        yield Claim('handshakes', ours, (*peers, 'tornado', 'gevent-websocket', 'ws'), 1.5)
    for ours in (manager, 'ws4py-asyncio'):
        yield Claim('broadcast-stalled', ours, ('websockets',), 3)


CLAIMS = tuple(_claims())
PROMISES = (
    *(Promise('broadcast-stalled', 'broadcast', ours, 'p99') for ours in ('ws4py-wsgiref', 'ws4py-asyncio')),
    Promise('growth-5000', 'growth-10', 'ws4py-wsgiref', 'cost'),
)


def verdicts(run: Run) -> Iterator[Verdict]:
    """A verdict for every claim and promise, in their order."""
    for claim in CLAIMS:
        title = run.work(claim.work).title
        samples = run.samples.get(claim.work, {})
        present = [peer for peer in claim.peers if peer in samples]
        wanted = f'{claim.wanted:g}'
        if claim.ours not in samples or not present:
            yield Verdict(title, claim.ours, ' '.join(claim.peers), wanted, '', None)
            continue
        ratios = {peer: compare(samples[claim.ours], samples[peer]) for peer in present}
        best = min(ratios, key=lambda peer: ratios[peer].value)
        met = ratios[best].value >= claim.wanted
        yield Verdict(title, claim.ours, best, wanted, str(ratios[best]), met)
    for promise in PROMISES:
        title = run.work(promise.work).title
        beside, wanted = run.work(promise.easier).title, f'{promise.most:g} at most'
        rows, easier = (run.samples.get(name, {}).get(promise.ours) for name in (promise.work, promise.easier))
        if not rows or not easier:
            yield Verdict(title, promise.ours, beside, wanted, '', None)
            continue
        times = getattr(median(rows), promise.figure) / getattr(median(easier), promise.figure)
        figure = 'CPU time' if promise.figure == 'cost' else promise.figure
        yield Verdict(title, promise.ours, beside, wanted, f'{times:.2f} times the {figure}', times <= promise.most)
