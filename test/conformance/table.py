"""What counts as conformant, and the table of backends by case groups.

Pure: no kosoku, no process, no clock. The rule is strict: a case is good only if kosoku's report says OK for the
exchange of messages and OK for the closing handshake. NON-STRICT, which kosoku's own verdict lets pass, is not good.
The only exceptions stand in ``expected.json``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Verdict(NamedTuple):
    """The two fields of one case's report, and kosoku's words about them."""

    behavior: str
    close: str
    note: str = ''

    @property
    def label(self) -> str:
        return self.behavior if self.behavior == self.close else f'{self.behavior}/{self.close}'


class Section(NamedTuple):
    title: str
    cases: int


# Autobahn's sections. The counts make sure that a run which lost cases is not taken for a good one; 8 and 11 do not
# exist.
SECTIONS = {
    1: Section('Framing', 16),
    2: Section('Pings and pongs', 11),
    3: Section('Reserved bits', 7),
    4: Section('Opcodes', 10),
    5: Section('Fragmentation', 20),
    6: Section('UTF-8', 145),
    7: Section('Closing handshake', 37),
    9: Section('Limits and performance', 54),
    10: Section('Automatic fragmentation', 1),
    12: Section('permessage-deflate: messages of all sizes', 90),
    13: Section('permessage-deflate: parameters', 126),
}
#: Only for who offers or accepts compression; with the number of their parts, of 18 cases each.
COMPRESSED = {12: 5, 13: 7}
EXPECTED: dict[str, str] = json.loads(Path(__file__).with_name('expected.json').read_text(encoding='utf-8'))


def sections(subject: str) -> list[int]:
    """The sections that a subject is held to."""
    return [number for number in SECTIONS if number not in COMPRESSED or subject.endswith('+deflate')]


def cases(subject: str) -> list[str]:
    """The cases of these sections."""
    return [f'{number}.*' for number in sections(subject)]


def section_of(case: str) -> int:
    return int(case.split('.')[0])


def deviations(verdicts: Mapping[str, Verdict], expected: Mapping[str, str] = EXPECTED) -> list[str]:
    """One line for each case that is not exactly as wanted."""
    return [
        f'{case}: {verdict.behavior}, {verdict.close}: {verdict.note}'
        for case, verdict in verdicts.items()
        if {verdict.behavior, verdict.close} != {expected.get(case, 'OK')}
    ]


def missing(subject: str, verdicts: Mapping[str, Verdict]) -> list[str]:
    """One line for each section in which another number of cases was run than Autobahn has."""
    ran = Counter(section_of(case) for case in verdicts)
    return [
        f'section {number}: {ran[number]} of {SECTIONS[number].cases} cases were run'
        for number in sections(subject)
        if ran[number] != SECTIONS[number].cases
    ]


def render(reports: Mapping[str, Mapping[str, Verdict]]) -> str:
    """The table, as reStructuredText that is also fit for a terminal: a row per backend, a column per section."""
    rows = [['Backend', *map(str, SECTIONS), 'All']]
    for backend, report in reports.items():
        columns = ([v for case, v in report.items() if section_of(case) == number] for number in SECTIONS)
        rows.append([backend, *map(_cell, columns), _cell(list(report.values()))])
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ['  '.join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in rows]
    rule = '  '.join('=' * width for width in widths)
    legend = [f'* {number}: {section.title}' for number, section in SECTIONS.items()]
    return '\n'.join([rule, lines[0], rule, *lines[1:], rule, '', 'The sections:', '', *legend]) + '\n'


def _cell(verdicts: Sequence[Verdict]) -> str:
    counts = Counter(verdict.label for verdict in verdicts)
    labels = sorted(counts, key=lambda label: (label != 'OK', label))
    return ', '.join(f'{counts[label]} {label}' for label in labels) or '–'
