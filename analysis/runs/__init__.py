"""Reading a run's folder: trials, events, history, and the published results beside them."""
