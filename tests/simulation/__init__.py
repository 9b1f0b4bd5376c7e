"""The real worker in a simulated world: time passes only when it waits, and everything that can fail does, by a seed."""
