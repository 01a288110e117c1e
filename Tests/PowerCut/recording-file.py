#!/usr/bin/python3
"""A FUSE file system with a file `image`: another file's bytes, every write and every flush of which is recorded.

    recording-file.py BACKING LOG MOUNTPOINT

A loop device over `image` is a disk with a volatile cache: what lies in LOG between two flushes may be lost in part.
LOG gets a record for each request, in their order: a byte W (write), F (flush) or M (mark), the offset (u64), the
length (u32), in the machine's byte order, and so many bytes. What is written to the file `mark` is a mark.
Needs Debian's python3-fuse. Runs in the foreground until it is unmounted.
"""
import errno, os, stat, struct, sys

import fuse

backing, log, mountpoint = sys.argv[1:4]
fuse.fuse_python_api = (0, 2)
disk = os.open(backing, os.O_RDWR)
record = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)


def note(kind, offset=0, data=b""):
    entry = struct.pack("=cQI", kind, offset, len(data)) + data
    if os.write(record, entry) != len(entry):
        os._exit(1)


class Recorded:
    direct_io = True
    keep_cache = False

    def __init__(self, path, flags, *mode):
        self.is_mark = path == "/mark"

    def read(self, length, offset):
        return b"" if self.is_mark else os.pread(disk, length, offset)

    def write(self, data, offset):
        if self.is_mark:
            note(b"M", 0, data)
            return len(data)
        note(b"W", offset, data)
        return os.pwrite(disk, data, offset)

    def fsync(self, is_data_only):
        if not self.is_mark:
            note(b"F")

    def release(self, flags):
        pass


class Recorder(fuse.Fuse):
    def getattr(self, path):
        result = fuse.Stat()
        result.st_mode, result.st_nlink = stat.S_IFDIR | 0o755, 2
        result.st_ino = result.st_dev = result.st_uid = result.st_gid = 0
        result.st_size = result.st_atime = result.st_mtime = result.st_ctime = 0
        if path == "/":
            return result
        if path not in ("/image", "/mark"):
            return -errno.ENOENT
        result.st_mode, result.st_nlink = stat.S_IFREG | 0o600, 1
        result.st_size = os.fstat(disk).st_size if path == "/image" else 0
        return result

    def truncate(self, path, length):
        return 0 if path == "/mark" else -errno.EPERM

    def readdir(self, path, offset):
        return (fuse.Direntry(name) for name in (".", "..", "image", "mark"))


server = Recorder(dash_s_do="setsingle")
server.file_class = Recorded
server.parse(["recording-file", "-f", "-s", "-o", "big_writes", mountpoint], errex=1)
server.main()
