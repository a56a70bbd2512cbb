"""What a shared library says of itself, in the formats of Linux, macOS and Windows: enough to trust a wheel's tag."""

import re
import struct
from typing import NamedTuple

_ELF, _MACH_O, _PE = b"\x7fELF\x02\x01", b"\xcf\xfa\xed\xfe", b"MZ"
_MACHINES = {62: "x86-64", 183: "arm64", 0x01000007: "x86-64", 0x0100000C: "arm64", 0x8664: "x86-64"}
_DYNAMIC_SYMBOLS = 11


class Facts(NamedTuple):
    """The system, the processor, what is exported, the libraries that must be there, and the least version of glibc
    or macOS, (0, 0) where any will do. `signed` is asked for by macOS on arm64 alone."""

    system: str
    machine: str
    exported: frozenset[str]
    libraries: frozenset[str]
    least: tuple[int, int]
    signed: bool = False


def facts(data: bytes) -> Facts:
    """Those of a library. Raises `ValueError` for any other file."""
    if data.startswith(_ELF):
        return _elf(data)
    if data.startswith(_MACH_O):
        return _mach_o(data)
    if data.startswith(_PE):
        return _pe(data)
    raise ValueError("this is no library of 64-bit Linux, macOS or Windows")


def _text(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode()


def _elf(data: bytes) -> Facts:
    (machine,) = struct.unpack_from("<H", data, 18)
    (table,) = struct.unpack_from("<Q", data, 40)
    size, count = struct.unpack_from("<HH", data, 58)
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, table + number * size) for number in range(count)]
    exported: set[str] = set()
    strings = b""
    for _, kind, _, _, offset, length, link, *_ in sections:
        if kind != _DYNAMIC_SYMBOLS:
            continue
        names, named = sections[link][4], sections[link][5]
        strings = data[names : names + named]
        for at in range(offset, offset + length, 24):
            name, info, _, section = struct.unpack_from("<IBBH", data, at)
            if section and info >> 4:  # defined here, and not local
                exported.add(_text(strings, name))
    versions = [(int(high), int(low)) for high, low in re.findall(rb"GLIBC_(\d+)\.(\d+)", strings)]
    libraries = re.findall(rb"[\w+-]+\.so[.\d]*(?=\0)", strings)
    return Facts(
        "Linux", _MACHINES.get(machine, "another"), frozenset(exported),
        frozenset(name.decode() for name in libraries), max(versions, default=(0, 0)),
    )  # fmt: skip


def _mach_o(data: bytes) -> Facts:
    (machine,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<I", data, 16)
    exported: set[str] = set()
    libraries: set[str] = set()
    least, signed, at = (0, 0), False, 32
    for _ in range(count):
        command, size = struct.unpack_from("<II", data, at)
        match command:
            case 0x2:  # LC_SYMTAB
                exported = _mach_o_symbols(data, *struct.unpack_from("<III", data, at + 8))
            case 0xC:  # LC_LOAD_DYLIB
                libraries.add(_text(data, at + struct.unpack_from("<I", data, at + 8)[0]))
            case 0x24 | 0x32:  # LC_VERSION_MIN_MACOSX, LC_BUILD_VERSION
                (version,) = struct.unpack_from("<I", data, at + (8 if command == 0x24 else 12))
                least = version >> 16, version >> 8 & 255
            case 0x1D:  # LC_CODE_SIGNATURE
                signed = True
            case _:
                pass
        at += size
    return Facts("macOS", _MACHINES.get(machine, "another"), frozenset(exported), frozenset(libraries), least, signed)


def _mach_o_symbols(data: bytes, symbols: int, count: int, strings: int) -> set[str]:
    """External names that are defined here, without the underscore before them."""
    found = (struct.unpack_from("<IB", data, symbols + 16 * number) for number in range(count))
    return {_text(data, strings + name)[1:] for name, kind in found if kind & 1 and kind & 0x0E and not kind & 0x10}


def _pe(data: bytes) -> Facts:
    (start,) = struct.unpack_from("<I", data, 0x3C)
    machine, count = struct.unpack_from("<HH", data, start + 4)
    (size,) = struct.unpack_from("<H", data, start + 20)
    exports, _, imports = struct.unpack_from("<III", data, start + 24 + 112)
    sections = [struct.unpack_from("<IIII", data, start + 24 + size + 40 * number + 8) for number in range(count)]

    def place(address: int) -> int:
        """Where in the file lies what is loaded to an address."""
        return next(raw + address - at for length, at, _, raw in sections if at <= address < at + length)

    exported: set[str] = set()
    if exports:
        (names,), (table,) = (struct.unpack_from("<I", data, place(exports) + offset) for offset in (24, 32))
        found = struct.unpack_from(f"<{names}I", data, place(table))
        exported = {_text(data, place(name)) for name in found}
    libraries: set[str] = set()
    at = place(imports) if imports else 0
    while at and (name := struct.unpack_from("<I", data, at + 12)[0]):
        libraries.add(_text(data, place(name)).lower())
        at += 20
    return Facts("Windows", _MACHINES.get(machine, "another"), frozenset(exported), frozenset(libraries), (0, 0))
