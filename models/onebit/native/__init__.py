"""The engine in C: how it is compiled, what it is told, and how it is called."""
