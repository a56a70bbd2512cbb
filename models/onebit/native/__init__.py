"""The engine in C: its compilation, its view of a program, and its calls."""
