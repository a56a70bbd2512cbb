"""Being told to stop: SIGTERM ends a run as Ctrl-C does, and it is remembered that it came.

`timeout` and batch systems send it to the whole process group, to Ray's processes as well. That Ray is gone then is no
failure of its own.
"""

import signal

INTERRUPTED = 130
"""The exit code of a command that was stopped."""

_came: list[int] = []


def heed_termination() -> None:
    """From now on SIGTERM interrupts this process."""
    _came.clear()
    signal.signal(signal.SIGTERM, _interrupt)


def told_to_stop() -> bool:
    """Whether SIGTERM has come since."""
    return bool(_came)


def _interrupt(number: int, frame: object) -> None:
    """End as Ctrl-C does: whoever is at work has a way of its own to take that. A command that a shell has put into the
    background ignores Ctrl-C, but not this."""
    _came.append(number)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.raise_signal(signal.SIGINT)
