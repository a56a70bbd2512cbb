"""Files that appear whole or not at all, and names of any bytes."""

import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

PART = ".part"  # how the name of a file that is still being written ends


def write_atomically(path: Path | str, data: bytes | str) -> None:
    """Write a file so that readers, and a run after a crash, see the old content or the new, never a part.

    Text is written as UTF-8. When this returns, the content has reached the disk. Raises `OSError` where it cannot,
    with the old file untouched.
    """
    content = data.encode() if isinstance(data, str) else data
    with replacing(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def replacing(path: Path | str) -> Generator[Path]:
    """A temporary path beside `path` to write to; on leaving, its content is synced and takes the place of `path`.

    After an error in the block nothing has changed and the temporary file is gone. Who may read the file is what the
    umask says, whatever a library makes of its own files.
    """
    path = Path(path)
    short = path.name[:40]  # a name may have 255 bytes, and a character four of them
    temporary = path.with_name(f".{short}.{secrets.token_hex(6)}{PART}")
    temporary.touch(exist_ok=False)
    mode = temporary.stat().st_mode
    try:
        yield temporary
        temporary.chmod(mode)
        _sync(temporary)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.filename is None or error.filename == str(temporary):  # the system names none, or not what was meant
            raise OSError(error.errno, error.strerror or str(error), str(path)) from error
        raise
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def readable(name: str) -> str:
    """A file's name, or a text with one in it, as a text that can be written everywhere: bytes that are not UTF-8
    become \\xNN.

    >>> readable("caf\\udce9.png")
    'caf\\\\xe9.png'
    """
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def one_line(name: str) -> str:
    """A name as a text that can be written on a line: as `readable` has it, with control characters as Python writes
    them.

    >>> one_line("a\\nb")
    'a\\\\nb'
    """
    return "".join(each if each.isprintable() or each == " " else ascii(each)[1:-1] for each in readable(name))


@contextmanager
def utf8_path(path: Path) -> Generator[Path]:
    """A path to the same file, to read it, that is UTF-8, as libraries in other languages want it: one with other bytes
    is opened here, and reached by the number under which it is open."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            yield Path(f"/dev/fd/{descriptor}")
        finally:
            os.close(descriptor)
    else:
        yield path


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable; where folders cannot be opened (Windows) the system does so itself."""
    if os.name == "posix":
        _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(descriptor)
