"""Is this folder on a file system that promises what a collection is built on?

A collection relies on locks that keep other writers out, on fsync, on a rename that all see at
once, and on mapped files that stay as they were opened. Network file systems and those of user
space promise less, or promise it to one machine only. Linux says what is mounted where in
`/proc/self/mountinfo` (proc(5)); elsewhere nothing is known, and nothing is said.
"""

from __future__ import annotations

import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

from hashret.errors import DurabilityWarning

MOUNTS = Path("/proc/self/mountinfo")
_NETWORK = {
    *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "auristorfs", "coda", "ncpfs"),
    *("ceph", "lustre", "gpfs", "beegfs", "orangefs", "pvfs2", "glusterfs", "acfs", "davfs"),
    *("gfs2", "ocfs2"),  # shared disks: their locks reach all machines, if a daemon runs
    *("virtiofs", "vboxsf", "prl_fs", "vmhgfs"),  # of the machine that runs this one
}
# The files of a local disk, though its driver runs in user space.
_LOCAL_FUSE = {"fuseblk", "fuse.ntfs-3g", "fuse.exfat", "fuse.fuse-overlayfs", "fuse.lxcfs"}


@dataclass(frozen=True, slots=True)
class Mount:
    """Where a file system is mounted, and its type as the kernel calls it."""

    point: str
    kind: str

    @property
    def is_network(self) -> bool:
        """Whether it may promise less than a disk of this machine."""
        fuse = self.kind == "fuse" or self.kind.startswith("fuse.")
        return self.kind in _NETWORK or (fuse and self.kind not in _LOCAL_FUSE)


def mounts(text: str) -> list[Mount]:
    """The mounts of a mountinfo, in its order; lines that are none are left out."""
    found = []
    for line in text.splitlines():
        left, dash, right = line.partition(" - ")
        fields = left.split(" ")
        if dash and len(fields) >= 5 and right:
            found.append(Mount(_unescaped(fields[4]), right.split(" ")[0]))
    return found


def _unescaped(point: str) -> str:
    """Spaces, tabs, newlines and backslashes are written as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), point)


def mount_of(path: str, known: list[Mount]) -> Mount | None:
    """The mount of an absolute path without links: the longest prefix, the last of equals."""
    best = None
    for mount in known:
        inside = path == mount.point or path.startswith(mount.point.rstrip("/") + "/")
        if inside and (best is None or len(mount.point) >= len(best.point)):
            best = mount
    return best


def network_mount(folder: Path) -> Mount | None:
    """The mount that `folder` is on, if it is such a one; None if not, or if nothing is known."""
    try:
        text = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    mount = mount_of(os.path.realpath(folder), mounts(text))
    return mount if mount is not None and mount.is_network else None


def warn_of_network(folder: Path) -> None:
    """Warn whoever writes here (`DurabilityWarning`) if `folder` is on such a file system."""
    mount = network_mount(folder)
    if mount is None:
        return
    warnings.warn(
        f"{folder}: expected a disk of this machine, got a file system of type {mount.kind} "
        f"mounted at {mount.point}; locks, syncs and mapped files may not be what they are on a "
        "disk: write from one machine at a time, and keep a copy",
        DurabilityWarning,
        stacklevel=2,
    )
