"""`textstream check`: one line for each thing a worker needs, green or what to do."""
