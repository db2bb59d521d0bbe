"""How two contestants compare: the rule, medians, and the spread of a ratio over the rounds.

On a small machine the generator or the kernel may be the limit, and not the server. So the rule is: while both keep
their core busy, throughput is compared; else the CPU time for each message. Of memory it is the bytes. A ratio above
1 always speaks for the first of the two.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, fields

from measuring import Sample

__all__ = ['BUSY', 'Ratio', 'compare', 'median']

BUSY = 0.95  # of its core; who uses more is at its limit


@dataclass(frozen=True)
class Ratio:
    """How many times better the first is.

    :ivar value: the ratio of the medians.
    :ivar low: the smallest ratio of one round, *high* the largest.
    :ivar by: what was compared: throughput, CPU time or memory.
    """

    value: float
    low: float
    high: float
    by: str

    def __str__(self) -> str:
        return f'{self.value:.2f} ({self.low:.2f}-{self.high:.2f}, {self.by})'


def median(samples: Sequence[Sample]) -> Sample:
    """The median of each figure by itself."""
    return Sample(
        **{field.name: statistics.median(getattr(sample, field.name) for sample in samples) for field in fields(Sample)}
    )


def compare(first: Sequence[Sample], second: Sequence[Sample]) -> Ratio:
    """What the first is beside the second; both have done the same work in the same rounds."""
    middle, other = median(first), median(second)
    if middle.memory:
        by = 'memory'
    elif min(middle.busy, other.busy) >= BUSY:
        by = 'throughput'
    else:
        by = 'CPU time'

    def ratio(one: Sample, two: Sample) -> float:
        if by == 'memory':
            return two.memory / one.memory
        return one.rate / two.rate if by == 'throughput' else two.cost / one.cost

    spread = [ratio(one, two) for one, two in zip(first, second)]
    return Ratio(ratio(middle, other), min(spread), max(spread), by)
