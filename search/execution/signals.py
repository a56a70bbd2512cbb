"""SIGTERM stops a run as Ctrl-C does, and this remembers that it came.

`timeout` and batch systems send it to the whole process group, including Ray's processes. That Ray is gone then is not
a failure of its own.
"""

import signal

INTERRUPTED = 130
"""The exit code of a command that was stopped."""

_came: list[int] = []


def heed_termination() -> None:
    """Let SIGTERM interrupt this process from now on."""
    _came.clear()
    signal.signal(signal.SIGTERM, _interrupt)


def told_to_stop() -> bool:
    """Whether SIGTERM has come since `heed_termination`."""
    return bool(_came)


def _interrupt(number: int, frame: object) -> None:
    """Interrupt as Ctrl-C does, which all our code handles; even a command that a shell started in the background, and
    which ignores Ctrl-C."""
    _came.append(number)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.raise_signal(signal.SIGINT)
