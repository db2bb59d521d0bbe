"""Plots of a run, as SVG: ``python plots.py RESULTS.json DIRECTORY``, in the environment that has matplotlib.

A program of its own, because the benchmark itself does without matplotlib. A file shows works of one sort, a panel for
each, a bar for each contestant; shorter is better in all of them. The same run gives the same bytes.
"""

from __future__ import annotations

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


def plot(run: Run, kinds: tuple[str, ...], path: Path) -> bool:
    """Draw the works of these *kinds*; False if the run has none."""
    names = [name for name, samples in run.samples.items() if run.work(name).kind in kinds and samples]
    if not names:
        return False
    heights = [0.16 * len(run.samples[name]) + 0.5 for name in names]
    figure, panels = plt.subplots(
        len(names), 1, figsize=(7, sum(heights)), height_ratios=heights, squeeze=False, layout='constrained'
    )
    for name, panel in zip(names, panels[:, 0]):
        work = run.work(name)
        of_memory = work.kind == 'memory'
        values = {
            CONTESTANTS[key]: sample.memory / 1024 if of_memory else sample.cost * 1e6
            for key, rows in run.samples[name].items()
            for sample in [median(rows)]
        }
        order = sorted(values, key=lambda contestant: values[contestant], reverse=True)
        bars = panel.barh(
            [contestant.title for contestant in order],
            [values[contestant] for contestant in order],
            color=[_colour(contestant) for contestant in order],
        )
        panel.bar_label(bars, fmt='%.3g', padding=2, fontsize=7)
        # One that is thirty times as slow would leave nothing to see of the others.
        middle = sorted(values.values())[len(values) // 2]
        panel.set_xlim(0, min(max(values.values()), 4 * middle) * 1.12)
        panel.set_title(f'{work.title}: {"KiB for each" if of_memory else "microseconds of CPU time for each"}')
        panel.spines[['top', 'right']].set_visible(False)
    figure.savefig(path, metadata={'Date': None})
    plt.close(figure)
    return True


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
