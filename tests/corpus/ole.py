"""A writer of small OLE files, such as Outlook messages, for tests."""

import itertools
import struct

_FREE, _END, _FAT, _NONE = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD, 0xFFFFFFFF


def ole_file(streams: dict[str, bytes]) -> bytes:
    """The bytes of an OLE file with these streams; "folder/name" is a stream in a storage."""
    storages = {name.split("/")[0]: [] for name in streams if "/" in name}
    top = []
    entries = [("Root Entry", 5, b"")]
    for name in storages:
        top.append(len(entries))
        entries.append((name, 1, b""))
    for name, data in streams.items():
        folder, slash, leaf = name.rpartition("/")
        (storages[folder] if slash else top).append(len(entries))
        entries.append((leaf, 2, data))
    mini, mini_fat, starts = b"", [], {}
    for i, (_, kind, data) in enumerate(entries):
        n = -(-len(data) // 64)
        starts[i] = len(mini_fat) if kind == 2 and n else _END
        mini_fat += [len(mini_fat) + j + 1 for j in range(n - 1)] + [_END] * bool(n)
        mini += data.ljust(64 * n, b"\0")
    after = dict.fromkeys(range(len(entries)), _NONE)
    first = {}
    for parent, inner in [(0, top), *((1 + i, s) for i, s in enumerate(storages.values()))]:
        first[parent] = inner[0] if inner else _NONE
        after.update(itertools.pairwise(inner))
    parts = [_sectors(struct.pack(f"<{len(mini_fat)}I", *mini_fat), b"\xff"), _sectors(mini)]
    at_mini = len(parts[0]) // 512
    directory = b"".join(
        name.encode("utf-16-le").ljust(64, b"\0")
        + struct.pack("<HBBIII", 2 * len(name) + 2, kind, 1, _NONE, after[i], first.get(i, _NONE))
        + bytes(36)
        + struct.pack("<IQ", at_mini if i == 0 else starts[i], len(mini) if i == 0 else len(data))
        for i, (name, kind, data) in enumerate(entries)
    )
    parts.append(_sectors(directory))
    fat, at = [], []
    for part in parts:
        n = len(part) // 512
        at.append(len(fat))
        fat += [len(fat) + j + 1 for j in range(n - 1)] + [_END]
    fat.append(_FAT)
    assert len(fat) <= 128, "one sector of FAT"
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    header += struct.pack("<HHHHH6xIIIIIIIII", 0x3E, 3, 0xFFFE, 9, 6, 0, 1, at[2], 0, 4096,
                          at[0], at[1] - at[0], _END, 0)  # fmt: skip
    header += struct.pack("<109I", len(fat) - 1, *[_FREE] * 108)
    return header + b"".join(parts) + _sectors(struct.pack(f"<{len(fat)}I", *fat), b"\xff")


def _sectors(data: bytes, fill: bytes = b"\0") -> bytes:
    return data.ljust(-(-max(1, len(data)) // 512) * 512, fill)


def message(**properties: str | bytes | int) -> bytes:
    """An Outlook message; a property is named t0037_001F by its number and type."""
    streams, fixed = {}, b""
    for name, value in properties.items():
        number, kind = name[1:].split("_")
        if isinstance(value, int):
            fixed += struct.pack("<HHIQ", int(kind, 16), int(number, 16), 6, value)
        else:
            data = value.encode("utf-16-le") if isinstance(value, str) else value
            streams[f"__substg1.0_{number}{kind}"] = data
    streams["__properties_version1.0"] = bytes(32) + fixed
    streams["__attach_version1.0_#00000000/__substg1.0_3707001F"] = "a.pdf".encode("utf-16-le")
    return ole_file(streams)
