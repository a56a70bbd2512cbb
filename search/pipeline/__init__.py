"""A run from its checks to its front: what is done, in which order, and what a person sees meanwhile."""
