"""Networks of the width space."""
