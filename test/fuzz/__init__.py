"""Fuzzing: bytes that a coverage-guided engine makes up, and what has to be true of ws4py whatever they are.

A target is a function that takes bytes and raises AssertionError where ws4py breaks a promise. None is content with
"it does not crash": each one has a second opinion that is written without ws4py's code, and holds accept against
refuse, whole against cut, there against back again. The targets::

    head          what a server reads and decides: a request, from the bytes of a socket and from a WSGI environ
    extensions    the lists in headers, and the negotiation of permessage-deflate
    stream        frames and messages, in both directions
    inflate       compressed messages
    response      what a client reads and decides: the response to its request
    differential  all of these, once more, beside the package `websockets`

:mod:`fuzz.targets` has them in a table, :mod:`fuzz.engine` makes up the bytes, :mod:`fuzz.corpus` keeps those that
were worth it, :mod:`fuzz.reach` says which branches they reached, and ``python -m fuzz``, from the directory above,
does all of it. The corpus is committed: `test_fuzz` sends it through the targets in every run of the tests, so that
what was found once stays found.
"""
