"""The error of the packages, and the phrases that its messages share."""


class SpaceError(ValueError):
    """A space, an architecture or a text form that cannot be: says what was given, what is allowed, what to do."""
