"""A network without Python: plain C for any machine, and a page for browsers."""
