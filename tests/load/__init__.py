"""Load on an assistant from outside: open-loop clients, and a ledger of what was acknowledged.

`python -m tests.load --help` runs it by hand.
"""
