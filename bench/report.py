"""What a run prints, and what the documentation shows of it: the same rows, as plain text and as reStructuredText."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from contestants import CONTESTANTS
from measuring import Sample
from ratios import compare, median
from reach import Verdict, verdicts
from results import Run
from works import KINDS, Work

__all__ = ['page', 'reach_text', 'work_text']

REACH = ('work', 'ours', 'beside', 'wanted', 'found', '')
WORDS = {True: 'yes', False: 'NO', None: 'not measured'}


def work_text(work: Work, samples: dict[str, list[Sample]], first: str) -> str:
    """The table of one work, for a terminal."""
    head, *rows = _rows(work, samples, first)
    lines = [
        f'  {name:<20}{"".join(f"{cell:>14}" for cell in cells)}  {ratio}' for name, *cells, ratio in (head, *rows)
    ]
    return '\n'.join([work.title, *(line.rstrip() for line in lines)])


def reach_text(run: Run) -> str:
    """Claims, promises, and what became of them, for a terminal."""
    rows = [REACH, *map(_cells_of, verdicts(run))]
    widths = [max(map(len, column)) for column in zip(*rows)]
    return '\n'.join('  '.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def page(run: Run) -> str:
    """Everything, for the documentation."""
    form = 'a short form' if run.quick else 'in full'
    measured = [('Rounds', f'{run.rounds}, of {run.seconds:g} s for each contestant; {form}'), *run.machine.items()]
    parts = ['.. Written by python bench --write.\n', _list_table('', [], measured)]
    parts += [_heading('What is aimed at'), _list_table('', REACH, map(_cells_of, verdicts(run)))]
    parts.append(_heading('Work by work'))
    for name, samples in run.samples.items():
        work = run.work(name)
        head, *rows = _rows(work, samples, next(iter(samples)))
        titled = [(CONTESTANTS[row[0]].title, *row[1:]) for row in rows]
        parts.append(_list_table(work.title[0].upper() + work.title[1:], head, titled))
    return '\n'.join(parts)


def _rows(work: Work, samples: dict[str, list[Sample]], first: str) -> list[tuple[str, ...]]:
    """The head and the rows of a work's table.

    The columns: messages a second; microseconds of the process's CPU time for each; how busy its core and that of the
    load were; microseconds from a message to its echo, the median and what one in a hundred exceeds. All are medians.
    At the end what *first* is beside this one, with the smallest and the largest ratio of one round.
    """
    timed = any(row.p50 for rows in samples.values() for row in rows)
    titles: tuple[str, ...] = (f'{KINDS[work.kind]}/s', 'CPU us', 'busy', 'load')
    if work.kind == 'memory':
        titles = ('KiB each',)
    elif timed:
        titles += ('p50 us', 'p99 us')
    rows: list[tuple[str, ...]] = [('', *titles, f'{first} is better by' if first in samples else '')]
    for name, measured in samples.items():
        ratio = str(compare(samples[first], measured)) if first in samples and name != first else ''
        rows.append((name, *_cells(work, median(measured), timed), ratio))
    return rows


def _cells(work: Work, sample: Sample, timed: bool) -> Sequence[str]:
    if work.kind == 'memory':
        return (f'{sample.memory / 1024:.1f}',)
    cells = (f'{sample.rate:,.0f}', f'{sample.cost * 1e6:.2f}', f'{sample.busy:.0%}', f'{sample.load_busy:.0%}')
    return (*cells, f'{sample.p50 * 1e6:,.0f}', f'{sample.p99 * 1e6:,.0f}') if timed else cells


def _cells_of(verdict: Verdict) -> tuple[str, ...]:
    return verdict.work, verdict.ours, verdict.beside, verdict.wanted, verdict.found, WORDS[verdict.met]


def _heading(text: str) -> str:
    return f'{text}\n{"-" * len(text)}\n'


def _list_table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f'.. list-table:: {title}'.rstrip(), *(['   :header-rows: 1'] if head else []), '']
    for row in [head, *rows] if head else rows:
        lines += [f'   {"*" if at == 0 else " "} - {cell}'.rstrip() for at, cell in enumerate(row)]
    return '\n'.join([*lines, ''])
