"""Milliseconds: operations timed into a table, and networks predicted from it or timed whole."""
