import VarveCodec
import VarveFormat
import VarveStorage

extension ParityMember {
    var object: ObjectName {
        if sequence == 0 { return ObjectName(.pack, hash) }
        return ObjectName(.manifest, SnapshotReference(sequence: sequence, hash: hash).name)
    }

    /// What its name says: a damaged object may have another size than it had.
    var identity: ParityMember { ParityMember(hash: hash, sequence: sequence, size: 0) }

    /// Nil for an object that is neither pack nor manifest, or of a size that neither has.
    init?(_ object: ObjectName, size: UInt64) {
        guard (1...UInt64(Pack.maximumLength)).contains(size), let hash = object.contentHash else {
            return nil
        }
        switch object.kind {
        case .pack: self.init(hash: hash, size: UInt32(size))
        case .manifest:
            guard let reference = SnapshotReference(name: object.name), reference.sequence > 0 else {
                return nil
            }
            self.init(hash: hash, sequence: reference.sequence, size: UInt32(size))
        default: return nil
        }
    }
}

/// A parity object and what it covers.
struct ParityGroup: Sendable {
    let name: String
    let file: ParityFile

    /// - Throws: if header and members can't be read.
    init(_ name: String, in storage: any Storage, of repository: RepositoryID) throws(VarveError) {
        self.name = name
        file = try ParityFile(try storage.open(ObjectName(.parity, name)))
        guard file.repository == repository else {
            throw VarveError(.corrupt, "the parity object belongs to repository \(file.repository)")
        }
    }

    var object: ObjectName { ObjectName(.parity, name) }
    var members: [ParityMember] { file.members }
    var shape: ParityShape { file.shape }

    /// What became of opening all parity objects.
    struct Loaded {
        var groups: [ParityGroup] = []
        /// Names of those whose bytes were read, and are of no use.
        var damaged: [String] = []
        /// Of these nothing is known: they could not be read now. Whatever they cover may come back from them later.
        var unreadable: [(name: String, error: VarveError)] = []
    }

    static func load(_ storage: any Storage, of repository: RepositoryID) throws(VarveError) -> Loaded {
        var loaded = Loaded()
        for name in try storage.list(.parity) where ContentID(hex: name) != nil {
            switch try open(name, in: storage, of: repository) {
            case .group(let group): loaded.groups.append(group)
            case .damaged: loaded.damaged.append(name)
            case .unreadable(let error): loaded.unreadable.append((name, error))
            // A backup that is at work has merged it into another.
            case .gone: break
            }
        }
        return loaded
    }

    enum Opened {
        case group(ParityGroup)
        case damaged
        case unreadable(VarveError)
        case gone
    }

    /// To `ParityFile` what can't be read is as good as damaged. Only what was read from end to end, twice, is called
    /// damaged here.
    static func open(_ name: String, in storage: any Storage, of repository: RepositoryID) throws(VarveError)
        -> Opened
    {
        for _ in 0..<2 {
            do {
                return .group(try ParityGroup(name, in: storage, of: repository))
            } catch let error where error.code == .missing {
                return .gone
            } catch let error where error.code == .unsupported {
                return .damaged
            } catch let error where error.code == .corrupt {
                do {
                    try storage.open(ObjectName(.parity, name)).forEachPiece { _ in }
                } catch let error where error.isOfTheMoment || error.isOfMedium {
                    return .unreadable(error)
                }
            } catch {
                return .unreadable(error)
            }
        }
        return .damaged
    }
}

/// The blocks of a group, read from the objects that they lie in.
struct ParityGroupReader {
    let storage: any Storage
    let members: [ParityMember]
    /// The first block of each member, and the end.
    let starts: [Int]

    init(_ storage: any Storage, _ members: [ParityMember]) {
        self.storage = storage
        self.members = members
        starts = members.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1.blocks) }
    }

    /// The blocks of a member.
    func blocks(of member: Int) -> Range<Int> { starts[member]..<starts[member + 1] }

    /// Which member a block is of.
    func member(of block: Int) -> Int {
        var (low, high) = (0, members.count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if starts[middle] <= block { low = middle } else { high = middle }
        }
        return low
    }

    /// Fills `buffer` with blocks from `first` on, those beyond the end with zeros, and tells which can't be read.
    ///
    /// - Throws: what has to do with this process and not with the disk.
    func read(
        from first: Int, into buffer: UnsafeMutableRawBufferPointer, unreadable: (_ block: Int) -> Void
    ) throws(VarveError) {
        let size = ParityShape.blockSize
        let end = min(first + buffer.count / size, starts[members.count])
        var block = first
        while block < end {
            let member = member(of: block)
            let stop = min(end, starts[member + 1])
            let part = UnsafeMutableRawBufferPointer(
                rebasing: buffer[(block - first) * size..<(stop - first) * size])
            try read(members[member], from: block - starts[member], into: part) {
                unreadable($0 + starts[member])
            }
            block = stop
        }
        if end - first < buffer.count / size {
            let rest = buffer[max(0, end - first) * size..<buffer.count]
            UnsafeMutableRawBufferPointer(rebasing: rest).initializeMemory(as: UInt8.self, repeating: 0)
        }
    }

    private func read(
        _ member: ParityMember, from first: Int, into buffer: UnsafeMutableRawBufferPointer,
        unreadable: (Int) -> Void
    ) throws(VarveError) {
        let size = ParityShape.blockSize
        let length = min(buffer.count, Int(member.size) - first * size)
        let object = member.object
        let bytes = UnsafeMutableRawBufferPointer(rebasing: buffer[..<length])
        if let count = try Self.tolerantly({ () throws(VarveError) in
            try storage.read(object, at: UInt64(first * size), into: bytes)
        }
        ) {
            // What it is too short for is lost; a member's last block ends with zeros.
            if count < length {
                for block in count / size..<buffer.count / size { unreadable(first + block) }
            }
            UnsafeMutableRawBufferPointer(rebasing: buffer[count...]).initializeMemory(
                as: UInt8.self, repeating: 0)
            return
        }
        buffer.initializeMemory(as: UInt8.self, repeating: 0)
        // Around the sectors that the disk can't read.
        for block in 0..<buffer.count / size {
            let piece = UnsafeMutableRawBufferPointer(
                rebasing: bytes[block * size..<min(length, (block + 1) * size)])
            let count = try Self.tolerantly { () throws(VarveError) in
                try storage.read(object, at: UInt64((first + block) * size), into: piece)
            }
            if count != piece.count { unreadable(first + block) }
        }
    }

    /// Nil if the object is not there, or the disk or its file system is to blame: what another run, or another user,
    /// would not meet, throws.
    static func tolerantly<R>(_ body: () throws(VarveError) -> R) throws(VarveError) -> R? {
        do {
            return try body()
        } catch let error where !error.isOfTheMoment {
            return nil
        }
    }
}
