"""SIGTERM stops a command as Ctrl-C does, and this remembers that it came.

`timeout` and batch systems send it to the whole process group, including Ray's processes. That Ray is gone then is not
a failure of its own, and waiting for it is in vain: a thread ends this process where it has not ended by itself.
"""

import os
import signal
import sys
import threading
from types import FrameType

INTERRUPTED = 130
"""The exit code of a command that was stopped."""

PATIENCE = 6.0
"""Seconds that a command gets to end by itself."""

_came: list[int] = []
_sentence = ["stopped"]
_watched: list[int] = []


def heed_termination(sentence: str = "stopped") -> None:
    """Let SIGTERM interrupt this process from now on, and end it with this sentence where that takes too long."""
    _came.clear()
    _sentence[0] = sentence
    signal.signal(signal.SIGTERM, _interrupt)
    if not _watched:
        # the number of a signal is written here at once, also while the main thread waits in native code of Ray's
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        _watched.append(writing)
        threading.Thread(target=_watch, args=(reading,), name="termination", daemon=True).start()


def told_to_stop() -> bool:
    """Whether SIGTERM has come since `heed_termination`."""
    return bool(_came)


def sentence_said() -> None:
    """The sentence has been printed; the process only has to end."""
    _sentence[0] = ""


def say_stopped() -> None:
    """Print the sentence, once."""
    if _sentence[0]:
        sys.stderr.write(f"binarynas: {_sentence[0]}\n")
        sys.stderr.flush()
        sentence_said()


def _watch(reading: int) -> None:
    while number := os.read(reading, 1):
        if number[0] != signal.SIGTERM:
            continue
        _came.append(signal.SIGTERM)
        threading.Event().wait(PATIENCE)
        say_stopped()
        os._exit(INTERRUPTED)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Interrupt as Ctrl-C does, which all our code handles; even a command that a shell started in the background, and
    which ignores Ctrl-C."""
    _came.append(number)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.raise_signal(signal.SIGINT)
