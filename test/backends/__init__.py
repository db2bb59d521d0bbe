"""Every server and every client that this package is tested with, in one place.

`servers` is the table of the servers and at the same time the program that runs one of them, in a process of its own
(CherryPy's engine and gevent's hub are the process's only ones). `running` starts that program and looks at it from the
outside. `clients` has a small face for each client, this package's own and those of other projects, so that one
scenario does for all of them. `wire` is a cable between the two that can be cut.

Used by `matrix`, `conformance` and `soak`; a new backend is a function and a line in one of the two tables. The modules
here are no tests.
"""
