"""Tables of networks that were measured one by one: what a search can be tried on without training anything."""
