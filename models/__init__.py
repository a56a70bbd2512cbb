"""Binary layers, networks, supernets, slicing and extraction, checkpoints."""
