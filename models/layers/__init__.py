"""Binary layers and what surrounds them, for networks of every family."""
