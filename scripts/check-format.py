#!/usr/bin/env python3
"""Checks every byte of a repository against Documentation/internals/format.md, without any of Varve's code.

    scripts/check-format.py REPOSITORY

Needs Python 3 and the command zstd. Slow: for small repositories, to show that the document and the program say the
same. Exits with 1 at the first difference.
"""
import datetime, hashlib, json, os, struct, subprocess, sys, tempfile

PERSON = {1: b"varve.data", 2: b"varve.map", 3: b"varve.metadata"}
ZERO = bytes(32)


def name(data):
    return hashlib.blake2b(data, digest_size=32).hexdigest()


CRC_TABLE = list(range(256))
for _ in range(8):
    CRC_TABLE = [crc >> 1 ^ (0x82F63B78 if crc & 1 else 0) for crc in CRC_TABLE]


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC_TABLE[crc & 255 ^ byte]
    return crc ^ 0xFFFFFFFF


def unzstd(frame, prefix=None):
    with tempfile.NamedTemporaryFile() as source, tempfile.NamedTemporaryFile() as base:
        source.write(frame), source.flush()
        base.write(prefix or b""), base.flush()
        # zstd takes no empty prefix.
        patch = ["--patch-from=" + base.name] if prefix else []
        return subprocess.run(["zstd", "-dcq", *patch, source.name], check=True, stdout=subprocess.PIPE).stdout


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def apply_delta(payload, base, length):
    base_length, at = varint(payload, 0)
    granule, at = payload[at], at + 1
    count, at = varint(payload, at)
    assert base_length == len(base)
    ranges, end = [], 0
    for _ in range(count):
        gap, at = varint(payload, at)
        size, at = varint(payload, at)
        assert size > 0 and (gap > 0 or not ranges)
        start, end = end + gap, end + gap + size
        ranges.append((start << granule, min(end << granule, length)))
    result = bytearray(base[:length].ljust(length, b"\0"))
    if ranges:
        changed = unzstd(payload[at:], b"".join(base[a:b] for a, b in ranges))
        for a, b in ranges:
            result[a:b], changed = changed[: b - a], changed[b - a :]
        assert not changed
    else:
        assert at == len(payload)
    return bytes(result)


def read_pack(pack, data, repository):
    """Yields (offset, total length, type, encoding, id, base, decoded length, payload)."""
    magic, version, suite, reserved, owner, salt = struct.unpack("<8sHHI16s32s", data[:64])
    assert (magic, version, suite, reserved, owner.hex(), salt) == (b"VARVEPCK", 1, 0, 0, repository, ZERO)
    magic, start, length, count, crc, total, own = struct.unpack("<8sIIIIII", data[-32:])
    directory = data[start : start + length]
    assert magic == b"VARVEEND" and total == len(data) == start + length + 32
    assert own == crc32c(data[-32:-4]) and crc == crc32c(directory) and directory[:8] == b"VARVEDIR"
    at, end = 8, 64
    for _ in range(count):
        offset, kind, encoding, reserved, stored, decoded = struct.unpack("<IBBHII", directory[at : at + 16])
        fields = 44 + (32 if encoding == 2 else 0)
        header = data[offset : offset + fields + 8]
        assert offset == end and reserved == 0 and header[:4] == bytes.fromhex("f676421a")
        assert header[4:-4] == directory[at + 4 : at + 4 + fields]
        assert struct.unpack("<I", header[-4:])[0] == crc32c(header[:-4])
        at, end = at + 4 + fields, offset + len(header) + stored
        payload = data[offset + len(header) : end]
        yield offset, end - offset, kind, encoding, header[16:48], header[48:-4], decoded, payload
    assert at == length and end == start


def check_index(data, repository, blobs):
    magic, version, bits, packs, count, owner, reserved = struct.unpack("<8sHHIQ16s24s", data[:64])
    assert (magic, version, owner.hex(), reserved) == (b"VARVEIDX", 1, repository, bytes(24))
    names = [data[64 + 32 * i : 96 + 32 * i].hex() for i in range(packs)]
    start = 64 + 32 * packs
    fan_out = struct.unpack(f"<{2**bits + 1}I", data[start : start + 4 * (2**bits + 1)])
    start += 4 * (2**bits + 1)
    assert len(data) == start + 24 * count and fan_out[-1] == count
    keys = {blob[:16]: place for blob, place in blobs.items()}
    before = b""
    for i in range(count):
        entry = data[start + 24 * i : start + 24 * i + 24]
        key, packed, offset = struct.unpack("<16sII", entry)
        bucket = int.from_bytes(key, "big") >> (128 - bits)
        size_class = packed >> 24
        pack, at, length = keys[key][:3]
        assert before < key and fan_out[bucket] <= i < fan_out[bucket + 1]
        assert (names[packed & 0xFFFFFF], offset) == (pack, at)
        assert length <= ((16 + (size_class & 15)) << (size_class >> 4)) * 64 < max(1025, length * 17 / 16 + 128)
        before = key
    return [data[start + 24 * i :][:16] for i in range(count)]


def check_filter(file, data, tables):
    magic, version, reserved, count, table, more, checksum = struct.unpack("<8sHHI32s12sI", data[:64])
    assert (magic, version, reserved, more) == (b"VARVEFLT", 1, 0, bytes(12)) and checksum == crc32c(data[:60])
    assert file.split("-")[0] == table.hex() and len(data) == 64 + 64 * count
    blocks = [data[64 + 64 * i : 128 + 64 * i] for i in range(count)]
    assert all(struct.unpack("<I", block[60:])[0] == crc32c(block[:60]) for block in blocks)
    for key in tables.get(table.hex(), []):
        first, second = struct.unpack(">QQ", key)
        block = blocks[first * count >> 64]
        for j in range(6):
            bit = (second >> 10 * j & 1023) * 480 >> 10
            assert block[bit >> 3] >> (bit & 7) & 1


def check_summaries(data, repository, manifests):
    magic, version, reserved, owner, rows, strings = struct.unpack("<8sH6s16sII", data[:40])
    assert (magic, reserved, owner.hex()) == (b"VARVESUM", bytes(6), repository) and version in (1, 2)
    at, texts = 40, []
    for _ in range(strings):
        length = struct.unpack("<I", data[at : at + 4])[0]
        texts.append(data[at + 4 : at + 4 + length].decode())
        at += 4 + length
    length = 100 if version == 1 else 104
    assert len(data) == at + length * rows and len(set(texts)) == len(texts)
    for row in struct.iter_unpack("<Q32sqIqIIIBB2sQQQ" if version == 1 else "<Q32sqIqIIIIBB2sQQQ", data[at:]):
        manifest = manifests.get("%010d-%s" % (row[0], row[1].hex()))
        if manifest is None:
            continue
        environment, recovery = manifest.get("environment"), manifest.get("recovery")
        if version > 1:
            home = environment["home"] if environment else "-"
            assert texts[row[8]] == manifest.get("source", f"{manifest['host']}:{home}")
            row = row[:8] + row[9:]
        assert time(row[2], row[3]) == manifest["finished"] and texts[row[6]] == manifest["host"]
        partial = version == 2 and environment is not None and "only" in environment
        assert row[9] == manifest["tainted"] + 2 * (recovery is not None) + 4 * partial and row[10] == bytes(2)
        assert recovery is None or time(row[4], row[5]) == recovery["recoverableTo"]
        assert environment is None or texts[row[7]] == environment["home"]
        assert ["live", "direct", "offline"].index(environment["mode"]) + 1 == row[8] if environment else row[8] == 0
        assert row[11] == len(manifest["files"]) and row[12] == sum(file["size"] for file in manifest["files"])
        assert row[13] == manifest["statistics"]["storedBytes"]


def check_ledger(data, repository, copy):
    magic, version, reserved, owner, own, rows, devices, more, crc = struct.unpack("<8sHH16s16sII8sI", data[:64])
    assert (magic, version, reserved, more) == (b"VARVELDG", 1, 0, bytes(8)) and crc == crc32c(data[:60])
    assert (owner.hex(), own.hex()) == (repository, copy)
    at = 64 + 96 * rows
    for start in range(64, at, 96):
        row = data[start : start + 96]
        kind, method, result, r1, device, r2, s, ns, rs, rns, hash, size, bad, length, r3, crc = struct.unpack(
            "<BBBBHHqIqI32sQQQII", row
        )
        assert crc == crc32c(own + row[:92]) and (r1, r2, r3) == (0, 0, 0) and ns < 10**9 and rns < 10**9
        assert kind <= 9 and method in (1, 2) and 1 <= result <= 5 and (device < devices or device == 65535)
        assert (kind == 0) == (hash == ZERO) and bad + length < 2**64
    table = at
    for _ in range(devices):
        length = struct.unpack("<H", data[at : at + 2])[0]
        data[at + 2 : at + 2 + length].decode()
        at += 2 + length
    assert data[at:] == struct.pack("<I", crc32c(data[table:at]))
    return rows


def time(seconds, nanoseconds):
    text = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    return text + (".%09d" % nanoseconds).rstrip("0").rstrip(".") + "Z"


def check_map(node, length, blobs, level=None):
    data = blobs[node][3]
    magic, version, own, reserved, extent, count, covers = struct.unpack("<4sBBHIIQ", data[:24])
    assert (magic, version, reserved, covers) == (b"VMAP", 1, 0, length) and len(data) == 24 + 32 * count
    assert level is None or own == level
    span = extent << 8 * own
    for i in range(count):
        child, rest = data[24 + 32 * i : 56 + 32 * i], min(span, length - i * span)
        if child == ZERO:
            continue
        if own > 0:
            check_map(child, rest, blobs, own - 1)
        else:
            assert len(blobs[child][3]) == rest


def gf_multiply(a, b):
    product = 0
    while b:
        product ^= a if b & 1 else 0
        a, b = a << 1 ^ (0x11D if a & 0x80 else 0), b >> 1
    return product


GF_INVERSE = {a: b for a in range(1, 256) for b in range(1, 256) if gf_multiply(a, b) == 1}


def scaled(block, factor):
    return int.from_bytes(block.translate(bytes(gf_multiply(factor, byte) for byte in range(256))), "little")


def check_parity(data, repository, members):
    blocks = [data[at : at + 4096] for at in range(0, len(data), 4096)]
    fields = struct.unpack("<8sHHI16sHHIII16s", data[:64])
    assert fields[:4] == (b"VARVEPAR", 1, 0, 4096) and fields[4].hex() == repository and fields[10] == bytes(16)
    k, m, stripes, count, listed = fields[5:10]
    assert k == -(-count // stripes) and k + m <= 255
    parity_blocks = m * stripes
    length = -(-(64 + 48 * listed + 4 * (count + parity_blocks)) // 4092)
    assert len(blocks) == 2 * length + parity_blocks and len(data) % 4096 == 0
    assert blocks[:length] == blocks[: -length - 1 : -1]
    assert all(struct.unpack("<I", block[4092:])[0] == crc32c(block[:4092]) for block in blocks[:length])
    directory = b"".join(block[:4092] for block in blocks[:length])
    sums = struct.unpack(f"<{count + parity_blocks}I", directory[64 + 48 * listed :][: 4 * (count + parity_blocks)])
    assert not any(directory[64 + 48 * listed + 4 * len(sums) :])
    ids = list(struct.iter_unpack("<32sQII", directory[64 : 64 + 48 * listed]))
    assert ids == sorted(ids, key=lambda entry: (entry[1], entry[0])) and not any(entry[3] for entry in ids)
    group = []
    for hashed, sequence, size, _ in ids:
        stored = members[("%010d-" % sequence if sequence else "") + hashed.hex()]
        assert len(stored) == size
        group += [stored[at : at + 4096].ljust(4096, b"\0") for at in range(0, size, 4096)]
    parity = blocks[length:-length]
    assert len(group) == count and list(sums) == [crc32c(block) for block in group + parity]
    for stripe in range(stripes):
        for row in range(m):
            total = 0
            for place, block in enumerate(group[stripe::stripes]):
                total ^= scaled(block, GF_INVERSE[k + row ^ place])
            assert total.to_bytes(4096, "little") == parity[row * stripes + stripe]
    return listed


def check_sealed(path):
    with open(path, "rb") as file:
        data = file.read()
    value = json.loads(data)
    compact = json.dumps(value["document"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert name(compact.encode()) == value["seal"]
    spelled = json.dumps(value, sort_keys=True, indent=2, separators=(",", " : "), ensure_ascii=False) + "\n"
    assert spelled.encode() == data
    return value["document"]


def objects(root, kind):
    for directory, _, files in sorted(os.walk(os.path.join(root, kind))):
        for file in sorted(files):
            with open(os.path.join(directory, file), "rb") as opened:
                data = opened.read()
            assert name(data) == file.split("-")[-1], f"{kind}/{file}: not the bytes that it is named by"
            if kind == "packs":
                assert os.path.basename(directory) == file[:2]
            yield file, data


def main(root):
    description = check_sealed(os.path.join(root, "varve.json"))
    repository = description["repository"]
    copy = check_sealed(os.path.join(root, "copy.json"))
    assert copy["repository"] == repository
    if os.path.exists(os.path.join(root, "identity.json")):
        assert check_sealed(os.path.join(root, "identity.json")) == {"copy": copy, "description": description}
    known = os.path.join(root, "copies")
    for file in sorted(os.listdir(known)) if os.path.isdir(known) else []:
        record = check_sealed(os.path.join(known, file))
        assert record["repository"] == repository and record["copy"] + ".json" == file and record["generation"] > 0
    if os.path.exists(os.path.join(root, "copies.json")):
        others = check_sealed(os.path.join(root, "copies.json"))
        assert others["format"] == 1 and others["repository"] == repository
        ids = [record["copy"] for record in others["copies"]]
        assert ids == sorted(set(ids)) and copy["copy"] not in ids
    if os.path.exists(os.path.join(root, "parity.json")):
        setting = check_sealed(os.path.join(root, "parity.json"))
        assert setting["format"] == 1 and setting["repository"] == repository and 1 <= setting["percent"] <= 50
    stored, members = {}, {}
    for pack, data in objects(root, "packs"):
        members[pack] = data
        for offset, total, kind, encoding, blob, base, length, payload in read_pack(pack, data, repository):
            stored[blob] = (pack, offset, total, kind, encoding, base, length, payload)
    decoded = {}

    def decode(blob):
        if blob not in decoded:
            kind, encoding, base, length, payload = stored[blob][3:]
            data = payload if encoding == 0 else unzstd(payload) if encoding == 1 else None
            if encoding == 2:
                data = apply_delta(payload, decode(base), length)
            assert len(data) == length
            assert hashlib.blake2b(data, digest_size=32, person=PERSON[kind]).digest() == blob
            decoded[blob] = data
        return decoded[blob]

    blobs = {blob: place[:3] + (decode(blob),) for blob, place in stored.items()}
    tables = {table: check_index(data, repository, blobs) for table, data in objects(root, "indexes")}
    entries = sum(map(len, tables.values()))
    for file, data in objects(root, "filters"):
        check_filter(file, data, tables)
    previous, manifests = None, {}
    for file, data in objects(root, "manifests"):
        members[file] = data
        manifest = json.loads(unzstd(data))
        assert manifest["format"] == 1 and manifest["repository"] == repository
        assert file.split("-")[0] == "%010d" % manifest["sequence"] and manifest.get("previous") == previous
        for entry in manifest["files"]:
            if entry.get("map", ZERO.hex()) != ZERO.hex():
                check_map(bytes.fromhex(entry["map"]), entry["size"], blobs)
        previous, manifests[file] = file, manifest
    for _, data in objects(root, "summaries"):
        check_summaries(data, repository, manifests)
    events = 0
    for file, data in objects(root, "events"):
        event = json.loads(unzstd(data))
        assert event["format"] == 1 and event["repository"] == repository
        assert file.split("-")[0] == "%010d" % event["sequence"] and isinstance(event["previous"], list)
        events += 1
    covered = sum(check_parity(data, repository, members) for _, data in objects(root, "parity"))
    readings = sum(check_ledger(data, repository, copy["copy"]) for _, data in objects(root, "ledger"))
    drills = 0
    for file, data in objects(root, "drills"):
        drill = json.loads(data)
        assert drill["format"] == 1 and (drill["repository"], drill["copy"]) == (repository, copy["copy"])
        assert file.split("-")[0] == "".join(filter(str.isdigit, drill["started"][:19]))
        drills += 1
    deltas = sum(place[4] == 2 for place in stored.values())
    print(
        f"{len(blobs)} blobs ({deltas} deltas), {entries} index entries, {len(manifests)} snapshots, {events} events,"
        f" {covered} objects under parity, {readings} readings, {drills} drills: as documented"
    )


if len(sys.argv) != 2:
    sys.exit(__doc__)
main(sys.argv[1])
