"""`textstream bench`, and what the comparison in tests/bench shares with it: the raw loop, the no-op, the load.

Nothing is imported here: the raw loop starts without a model.
"""
