"""``python -m conformance``, from the directory above: runs every subject, prints the table, exits 1 on a deviation."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from . import runner, subjects, table


def main() -> int:
    everybody = subjects.SUBJECTS
    parser = argparse.ArgumentParser(prog='python -m conformance', description="Autobahn's cases against ws4py.")
    parser.add_argument('cases', nargs='*', metavar='CASE', help='case id or glob, as 7.1.5 or 9.* (default: all)')
    parser.add_argument('--subject', action='append', choices=everybody, help='repeatable (default: all)')
    parser.add_argument('--python', default=sys.executable, help='interpreter of the subject (default: this one)')
    parser.add_argument('--parallel', type=int, default=4, help='cases at a time (default: %(default)s)')
    parser.add_argument('--timeout', type=float, default=600.0, help='seconds for a subject (default: %(default)s)')
    parser.add_argument('--json', type=Path, help='write the verdicts into this file')
    parser.add_argument('--write', type=Path, help='write the table into this reStructuredText file')
    options = parser.parse_args()
    if options.write and (options.cases or options.subject):
        parser.error('--write is for a run of all cases against all subjects')

    reports = {}
    faults = []
    # In another interpreter it is that one which is asked for, and PyPy is not.
    own = options.python == sys.executable
    for name in options.subject or [name for name in everybody if own or subjects.PYPY not in name]:
        missing = subjects.missing(name) if own else []
        if missing:
            faults.append(f'{name} was not run: {", ".join(missing)} is not installed')
            continue
        try:
            report = runner.run(
                name,
                options.cases or table.cases(name),
                python=options.python,
                parallel=options.parallel,
                timeout=options.timeout,
            )
        except runner.SubjectError as error:
            faults.append(str(error))
            continue
        print(f'{name}: {len(report.verdicts)} cases in {report.seconds:.1f} s', flush=True)
        reports[name] = report.verdicts
        lost = [] if options.cases else table.missing(name, report.verdicts)
        faults += [f'{name} {line}' for line in lost + table.deviations(report.verdicts)]

    if reports:
        print('', table.render(reports), sep='\n')
    for fault in faults:
        print(fault)
    if options.json:
        options.json.write_text(json.dumps(reports), encoding='utf-8')
    if options.write and not faults:
        options.write.write_text(f'.. Written by python -m conformance.\n\n{table.render(reports)}', encoding='utf-8')
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
