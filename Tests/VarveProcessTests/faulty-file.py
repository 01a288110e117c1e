#!/usr/bin/python3
"""A FUSE file system with one file, `image`: another file's bytes, read-only, and unreadable where the test says so.

    faulty-file.py BACKING BAD MOUNTPOINT

BAD is a file with a line `start end` for each range of bytes whose reading fails with EIO; it is read anew each time.
Needs Debian's python3-fuse. Runs in the foreground until it is unmounted.
"""
import errno, os, stat, sys

import fuse

backing, bad, mountpoint = sys.argv[1:4]
fuse.fuse_python_api = (0, 2)
descriptor = os.open(backing, os.O_RDONLY)


class Image:
    direct_io = True
    keep_cache = False

    def __init__(self, path, flags, *mode):
        pass

    def read(self, length, offset):
        for line in open(bad):
            start, end = map(int, line.split())
            if start < offset + length and offset < end:
                return -errno.EIO
        return os.pread(descriptor, length, offset)

    def release(self, flags):
        pass


class Faulty(fuse.Fuse):
    def getattr(self, path):
        result = fuse.Stat()
        result.st_mode, result.st_nlink = stat.S_IFDIR | 0o755, 2
        result.st_ino = result.st_dev = result.st_uid = result.st_gid = 0
        result.st_size = result.st_atime = result.st_mtime = result.st_ctime = 0
        if path == "/":
            return result
        if path != "/image":
            return -errno.ENOENT
        result.st_mode, result.st_nlink = stat.S_IFREG | 0o444, 1
        result.st_size = os.fstat(descriptor).st_size
        return result

    def readdir(self, path, offset):
        return (fuse.Direntry(name) for name in (".", "..", "image"))


server = Faulty(dash_s_do="setsingle")
server.file_class = Image
server.parse(["faulty-file", "-f", "-s", mountpoint], errex=1)
server.main()
