"""The matrix: one handler class on every server, with every client, over ws and wss, through one scenario.

`handler` is that class and runs in the servers' processes; `scenario` has the steps, as functions of one cell;
`table` judges nothing and prints; ``python -m matrix`` (from the directory above) runs it all and writes the table of
the documentation; `test_matrix` are the same steps as tests. The servers and clients are those of `backends`.
"""
