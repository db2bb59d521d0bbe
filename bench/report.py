"""What a run prints: a table for each work, in plain text."""

from __future__ import annotations

from collections.abc import Sequence

from measuring import Sample
from ratios import compare, median
from works import KINDS, Work

__all__ = ['table']


def table(work: Work, samples: dict[str, list[Sample]], first: str) -> str:
    """The medians of a work, and what *first* is beside each of the others, where it took part.

    The columns: messages a second, microseconds of the process's CPU time for each, how busy its core and that of the
    load were, microseconds from a message to its echo (the median, and what one in a hundred exceeds), the ratio with
    the smallest and the largest of one round.
    """
    titles = (f'{KINDS[work.kind]}/s', 'CPU us', 'busy', 'load', 'p50 us', 'p99 us')
    if work.kind == 'memory':
        titles = ('KiB each',)
    lines = [work.title, f'  {"":<20}' + ''.join(f'{title:>13}' for title in titles) + f'  {first} is better by']
    for name, rows in samples.items():
        cells = ''.join(f'{cell:>13}' for cell in _cells(work, median(rows)))
        ratio = f'  {compare(samples[first], rows)}' if first in samples and name != first else ''
        lines.append(f'  {name:<20}{cells}{ratio}')
    return '\n'.join(lines)


def _cells(work: Work, sample: Sample) -> Sequence[str]:
    if work.kind == 'memory':
        return (f'{sample.memory / 1024:.1f}',)
    return (
        f'{sample.rate:,.0f}',
        f'{sample.cost * 1e6:.2f}',
        f'{sample.busy:.0%}',
        f'{sample.load_busy:.0%}',
        *(f'{value * 1e6:,.0f}' if value else '' for value in (sample.p50, sample.p99)),
    )
