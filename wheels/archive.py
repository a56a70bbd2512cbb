"""Wheels as archives: a wheel for any machine becomes one for a system that holds a library."""

import base64
import hashlib
import re
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

_WHEN = (1980, 1, 1, 0, 0, 0)  # the same wheel from the same files


def with_library(wheel: Path, library: bytes, name: str, tag: str) -> Path:
    """Write, beside a wheel for any machine, that for machines of `tag` with a library beside the engine's source.

    `name` is the library's in the wheel. Returns the new wheel.
    """
    out = wheel.with_name(wheel.name.replace("-any.whl", f"-{tag}.whl"))
    with ZipFile(wheel) as archive:
        files = {info.filename: archive.read(info) for info in archive.infolist()}
    (source,) = (path for path in files if path.endswith("native/engine.c"))
    (about,) = (path for path in files if path.endswith(".dist-info/WHEEL"))
    (record,) = (path for path in files if path.endswith(".dist-info/RECORD"))
    files[source.removesuffix("engine.c") + name] = library
    tags = "".join(f"Tag: py3-none-{each}\n" for each in tag.split("."))
    words = re.sub(r"^Tag: .*\n", "", files[about].decode(), flags=re.MULTILINE).strip().replace("\r\n", "\n")
    words = words.replace("Root-Is-Purelib: true", "Root-Is-Purelib: false")
    files[about] = f"{words}\n{tags}".encode()
    del files[record]
    lines = [f"{path},sha256={_digest(data)},{len(data)}\n" for path, data in files.items()]
    files[record] = "".join([*lines, f"{record},,\n"]).encode()
    with ZipFile(out, "w", ZIP_DEFLATED) as archive:
        for path, data in files.items():
            info = ZipInfo(path, _WHEN)
            info.external_attr, info.compress_type = 0o644 << 16, ZIP_DEFLATED
            archive.writestr(info, data)
    return out


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
