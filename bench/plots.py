"""Plots of a run, as SVG: ``python plots.py RESULTS.json DIRECTORY``, in the environment that has matplotlib.

A program of its own, because the benchmark itself does without matplotlib. A file shows works of one sort, a panel for
each, a bar for each contestant; shorter is better in all of them. The same run gives the same bytes.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

import matplotlib
from contestants import CONTESTANTS, Contestant
from ratios import median
from results import Run

matplotlib.use('svg')
matplotlib.rcParams.update({'svg.hashsalt': 'ws4py', 'svg.fonttype': 'none', 'font.size': 8})

import matplotlib.pyplot as plt  # noqa: E402  # it takes the backend when it is imported

__all__ = ['FILES', 'plot']

#: The kinds of work in each file.
FILES = {
    'performance_echo.svg': ('echo',),
    'performance_secure.svg': ('tls', 'deflate'),
    'performance_many.svg': ('handshakes', 'broadcast', 'memory'),
    'performance_receive.svg': ('receive',),
}
OURS, PEERS, LIMIT = '#1b6ca8', '#9aa5b1', '#d8dee4'


def plot(run: Run, kinds: tuple[str, ...], path: Path) -> None:
    """Draw the works of these *kinds*; no file is made if the run has none."""
    names = [name for name, samples in run.samples.items() if run.work(name).kind in kinds and samples]
    if not names:
        return
    heights = [0.16 * len(run.samples[name]) + 0.5 for name in names]
    figure, panels = plt.subplots(
        len(names), 1, figsize=(7, sum(heights)), height_ratios=heights, squeeze=False, layout='constrained'
    )
    for name, panel in zip(names, panels[:, 0]):
        work = run.work(name)
        of_memory = work.kind == 'memory'
        values = {}
        for key, rows in run.samples[name].items():
            sample = median(rows)
            values[key] = sample.memory / 1024 if of_memory else sample.cost * 1e6
        order = sorted(values, key=lambda key: values[key], reverse=True)
        # One that is thirty times as slow would leave nothing to see of the others: its bar is cut.
        end = min(max(values.values()), 4 * statistics.median(values.values()))
        panel.barh(
            [CONTESTANTS[key].title for key in order],
            [min(values[key], end) for key in order],
            color=[_colour(CONTESTANTS[key]) for key in order],
        )
        for at, key in enumerate(order):
            value = values[key]
            text = f'{value:.3g}' if value < 100 else f'{value:,.0f}'
            panel.annotate(text, (min(value, end), at), (2, 0), textcoords='offset points', va='center', fontsize=7)
        panel.set_xlim(0, end * 1.12)
        panel.set_title(f'{work.title}: {"KiB" if of_memory else "microseconds of CPU time"}', loc='left', fontsize=8)
        panel.spines[['top', 'right']].set_visible(False)
    figure.savefig(path, metadata={'Date': None})
    plt.close(figure)


def _colour(contestant: Contestant) -> str:
    if contestant.ours:
        return OURS
    return LIMIT if contestant.name.startswith('bare') else PEERS


def main() -> None:
    run, directory = Run.load(Path(sys.argv[1])), Path(sys.argv[2])
    for name, kinds in FILES.items():
        plot(run, kinds, directory / name)


if __name__ == '__main__':
    main()
