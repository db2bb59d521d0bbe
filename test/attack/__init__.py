"""The attacks that servers and clients survive, each over real sockets against every server, every client, or both.

`items` is what the attacks have in common: who is attacked, how its memory is compared, what an attack may say;
`server_side` and `client_side` are the two kinds of targets. The modules `handshake` (of servers), `responses` (to
clients), `frames` and `load` (on either side) and `masks` hold the attacks, numbered as in the documentation; `site` is
what runs on the attacked side, `visitor` the program of an attacked client, `table` prints. ``python -m attack`` (from
the directory above) runs all of them and prints the figure of each; `test_attack` runs the same under the test runner,
the heaviest in a shorter form.
"""
