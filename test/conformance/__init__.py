"""The Autobahn conformance suite, run against what this package serves and connects with.

`kosoku` (from PyPI) runs Autobahn's own case files; it plays the fuzzing client against our servers and the fuzzing
server against our clients. `subjects` holds the programs under test, `runner` brings one of them together with kosoku,
`table` judges and prints, and ``python -m conformance`` (from the directory above) does all of it.

kosoku needs Python 3.10; a subject is always a process of its own, so that it may run in any other interpreter.
The modules here are no unit tests, except `test_conformance`.
"""
