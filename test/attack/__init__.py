"""The attacks that a server survives, each over real sockets against every server.

`items` is what the attacks have in common: who is attacked, how its memory is compared, what an attack may say. The
modules `handshake`, `frames` and `load` hold the attacks, numbered as in the documentation; `site` is what the servers
serve, `table` prints. ``python -m attack`` (from the directory above) runs all of them and prints the figure of each;
`test_attack` runs the same under the test runner, the heaviest in a shorter form.
"""
