"""Whole sequences of messages against a NeTS: a byte string is a program of what happens to it.

    script.py   the bytes as choices
    stage.py    a real NeTS on a wire that is a list and a clock that the program moves; no socket is opened
    wire.py     that wire
    parties.py  who speaks: callers, callees, strangers; what they say, right and wrong
    garble.py   messages spoilt as a network or an attacker would
    program.py  runs a program, and says what must hold after each step and at the end
    checks.py   what is seen on the wire, and must hold of it

`python -m tests.fuzz` looks for programs that break something, guided by coverage; `test_sequences.py` runs those that
did once, and some more.
"""
