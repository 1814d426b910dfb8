"""Network file systems are told from disks, by a mountinfo made up here, and told of once."""

import warnings

import pytest
from click.testing import CliRunner

from hashret.errors import DurabilityWarning
from hashret.store.disk import file_systems
from hashret.store.disk.file_systems import Mount, mount_of, mounts
from hashret.store.layout import Layout
from hashret.store.lock import writer_lock
from indexer.cli import main
from tests.torture.bases import make

MOUNTINFO = """\
22 1 254:1 / / rw,relatime - ext4 /dev/vda1 rw,discard
23 22 0:21 / /proc rw,nosuid shared:5 - proc proc rw
30 22 0:40 / /export rw,relatime shared:12 master:3 - nfs4 files:/export rw,vers=4.2
31 30 254:9 / /export/ann/disk rw - xfs /dev/sdb1 rw
32 22 0:41 / /mnt/with\\040space\\134 rw - cifs //server/share rw
33 22 0:42 / /srv rw - ext4 /dev/sdc1 rw
34 22 0:43 / /srv rw - fuse.sshfs me@there:/srv rw
35 22 0:44 / /usb rw - fuseblk /dev/sdd1 rw
36 22 0:45 / /w\xef\xbf\xbd rw - 9p C:\\134 rw
no mount at all
37 22
38 22 0:46 / /plain rw -
"""


@pytest.mark.parametrize(
    ("path", "kind", "is_network"),
    [
        ("/", "ext4", False),
        ("/data/c", "ext4", False),
        ("/export", "nfs4", True),
        ("/export/bob/c", "nfs4", True),
        ("/exports/bob", "ext4", False),
        ("/export/ann/disk/c", "xfs", False),
        ("/export/ann/diskette", "nfs4", True),
        ("/mnt/with space\\/c", "cifs", True),
        ("/srv/c", "fuse.sshfs", True),  # mounted over the disk
        ("/usb/c", "fuseblk", False),
    ],
)
def test_the_longest_prefix_decides(path, kind, is_network):
    found = mount_of(path, mounts(MOUNTINFO))
    assert (found.kind, found.is_network) == (kind, is_network)


@pytest.mark.parametrize(
    "kind",
    ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse", "fuse.sshfs", "fuse.s3fs", "ceph", "virtiofs"],
)
def test_network_kinds(kind):
    assert Mount("/x", kind).is_network


@pytest.mark.parametrize(
    "kind", ["ext4", "xfs", "btrfs", "zfs", "overlay", "tmpfs", "apfs", "ntfs3"]
)
def test_kinds_of_this_machine(kind):
    assert not Mount("/x", kind).is_network


def test_lines_that_are_no_mounts_are_left_out():
    assert len(mounts(MOUNTINFO)) == 9
    assert mounts("") == []
    assert mount_of("/x", []) is None


@pytest.fixture
def mounted(tmp_path, monkeypatch):
    """Says that a folder is mounted as something; links to it lead there too."""

    def say(point, kind):
        made_up = tmp_path / "mountinfo"
        escaped = str(point).replace(" ", "\\040")
        made_up.write_text(
            f"1 1 0:1 / / rw - ext4 /dev/a rw\n2 1 0:2 / {escaped} rw - {kind} b rw\n"
        )
        monkeypatch.setattr(file_systems, "MOUNTS", made_up)

    return say


def test_a_writer_is_told_and_a_disk_is_not_told_of(tmp_path, mounted):
    share = tmp_path / "a share"
    share.mkdir()
    mounted(share, "nfs4")
    (tmp_path / "link").symlink_to(share)
    for place in (share / "c", tmp_path / "link" / "d"):
        layout = Layout.create(place)
        with pytest.warns(DurabilityWarning, match=f"nfs4 mounted at {share}"), writer_lock(layout):
            pass
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with writer_lock(Layout.create(tmp_path / "local")):
            pass
        mounted(share, "ext4")
        with writer_lock(Layout.create(share / "c")):
            pass


def test_the_command_line_says_it_in_one_line(tmp_path, mounted):
    path = make(tmp_path / "c", "vector", 8)
    mounted(tmp_path, "cifs")
    done = CliRunner().invoke(main, ["remove", str(path), "v-001"])
    assert done.exit_code == 0
    assert done.stdout == "removed 1\n"
    told = [line for line in done.stderr.splitlines() if "type cifs" in line]
    assert len(told) == 1
    assert told[0].startswith(f"warning: {tmp_path / 'c'}: expected a disk")


def test_where_nothing_is_known_nothing_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(file_systems, "MOUNTS", tmp_path / "none")
    with writer_lock(Layout.create(tmp_path / "c")):
        pass
