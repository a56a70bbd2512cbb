"""Where tasks run: in this process, or on Ray Tune, on this machine or a cluster. Only this room knows Ray."""
