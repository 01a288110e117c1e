"""What varve stored for what, read from the packs by Documentation/internals/format.md, without varve's own code.

Only directories, maps and the heads of deltas are read. Nothing is checked: that is `verify`'s work.
"""

import os
import struct
import subprocess
from dataclasses import dataclass

from .process import CommandFailed

RAW, COMPRESSED, DELTA = 0, 1, 2
ZEROS = bytes(32)
INDEX_ENTRY = 24


@dataclass
class Blob:
    """Where a blob is, and what it takes: with its header, its line in the directory, its index entry."""

    path: str
    payload: int
    stored: int
    encoding: int
    decoded: int
    base: bytes
    taken: int


class Stored:
    """The blobs of a repository. `update` reads the packs that came since the last call."""

    def __init__(self, repository):
        self.repository = repository
        self.packs = set()
        self.blobs = {}

    def update(self):
        """Returns the ids of the blobs that are new."""
        found = []
        for directory, _, names in os.walk(os.path.join(self.repository, "packs")):
            for name in names:
                if name not in self.packs:
                    self.packs.add(name)
                    found += self.read_directory(os.path.join(directory, name))
        return found

    def read_directory(self, path):
        found = []
        with open(path, "rb") as file:
            file.seek(-32, os.SEEK_END)
            magic, start, length, count = struct.unpack("<8sIII", file.read(20))
            file.seek(start)
            directory = file.read(length)
        if magic != b"VARVEEND" or directory[:8] != b"VARVEDIR":
            raise CommandFailed(f"{path} is no pack of format 1")
        at = 8
        for _ in range(count):
            offset, _, encoding, _, stored, decoded = struct.unpack_from("<IBBHII", directory, at)
            fields = 76 if encoding == DELTA else 44
            identity, base = directory[at + 16 : at + 48], directory[at + 48 : at + 4 + fields]
            header = fields + 8
            taken = header + stored + 4 + fields + INDEX_ENTRY
            self.blobs[identity] = Blob(path, offset + header, stored, encoding, decoded, base, taken)
            found.append(identity)
            at += 4 + fields
        return found

    def payload(self, blob):
        with open(blob.path, "rb") as file:
            file.seek(blob.payload)
            return file.read(blob.stored)

    def node(self, identity):
        """The bytes of a map node."""
        blob = self.blobs[identity]
        payload = self.payload(blob)
        if blob.encoding == RAW:
            return payload
        if blob.encoding == COMPRESSED:
            return unzstd(payload)
        raise CommandFailed(f"a map node in {blob.path} is a delta")

    def walk(self, root):
        """Every (id, whether it is a map node) beneath a map, extents in the order of the file."""
        if root == ZEROS:
            return
        yield root, True
        node = self.node(root)
        level, count = node[5], struct.unpack_from("<I", node, 12)[0]
        for position in range(count):
            child = node[24 + 32 * position : 56 + 32 * position]
            if child == ZEROS:
                continue
            if level > 0:
                yield from self.walk(child)
            else:
                yield child, False

    def taken(self, new, files, kind):
        """Bytes that the blobs of `new` take which belong to files of one kind alone.

        `files` is the list of a manifest: entries with `kind` and `map`.
        """
        mine, others = set(), set()
        for entry in files:
            if "map" in entry:
                reached = {identity for identity, _ in self.walk(bytes.fromhex(entry["map"]))}
                (mine if entry["kind"] == kind else others).update(reached)
        return sum(self.blobs[identity].taken for identity in set(new) & (mine - others))

    def decoded_per_byte(self, files):
        """How many bytes a restore of these files decodes for each byte, each extent with its whole chain.

        Holes count on neither side, so this is at least 1; None if there is nothing but holes.
        """
        known = {}
        decoded = restored = 0
        for entry in files:
            for identity, is_node in self.walk(bytes.fromhex(entry.get("map", ZEROS.hex()))):
                if not is_node:
                    decoded += self.work(identity, known)
                    restored += self.blobs[identity].decoded
        return decoded / restored if restored else None

    def work(self, identity, known):
        chain = []
        while identity not in known:
            blob = self.blobs[identity]
            if blob.encoding != DELTA:
                known[identity] = blob.decoded
                break
            chain.append((identity, changed_bytes(self.payload(blob), blob.decoded)))
            identity = blob.base
        work = known[identity]
        for identity, changed in reversed(chain):
            work += changed
            known[identity] = work
        return work


def unzstd(frame):
    try:
        return subprocess.run(["zstd", "-dcq"], input=frame, stdout=subprocess.PIPE, check=True).stdout
    except subprocess.CalledProcessError as failure:
        raise CommandFailed(f"a map node does not decompress: {failure}") from failure


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def changed_bytes(payload, length):
    """The bytes that a delta gives of an extent of `length` bytes."""
    _, at = varint(payload, 0)
    granule, at = payload[at], at + 1
    count, at = varint(payload, at)
    total = end = 0
    for _ in range(count):
        gap, at = varint(payload, at)
        size, at = varint(payload, at)
        start, end = end + gap, end + gap + size
        total += min(end << granule, length) - (start << granule)
    return total
