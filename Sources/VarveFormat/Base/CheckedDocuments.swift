/// What names and texts in documents may be. Whoever can write a repository's disk writes documents with right checksums:
/// a copy's id becomes a file's name, and a path is opened.
enum DocumentCheck {
    /// Bytes of a text for people: a label, a host, a message.
    static let textLimit = 4096
    /// Of a path, as the kernel has it.
    static let pathLimit = 4096

    static func require(_ holds: Bool, _ message: @autoclosure () -> String) throws(VarveError) {
        if !holds { throw VarveError(.corrupt, message()) }
    }

    /// 32 hexadecimal digits.
    static func repositoryID(_ text: String, _ what: String) throws(VarveError) {
        try require(RepositoryID(hex: text) != nil, "\(what) is no id: \(quoted(text))")
    }

    /// 64 hexadecimal digits.
    static func contentID(_ text: String, _ what: String) throws(VarveError) {
        try require(ContentID(hex: text) != nil, "\(what) is no id: \(quoted(text))")
    }

    /// `<digits>-<64 hexadecimal digits>`, as a manifest is called.
    static func snapshotName(_ text: String, _ what: String) throws(VarveError) {
        let parts = text.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        let isName =
            parts.count == 2 && (10...20).contains(parts[0].count)
            && parts[0].allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            && ContentID(hex: Substring(parts[1])) != nil
        try require(isName, "\(what) is no snapshot's name: \(quoted(text))")
    }

    static func text(_ text: String, _ what: String, limit: Int = textLimit) throws(VarveError) {
        try require(text.utf8.count <= limit && !text.utf8.contains(0), "\(what) is too long, or no text")
    }

    /// Absolute.
    static func path(_ path: String, _ what: String) throws(VarveError) {
        try text(path, what, limit: pathLimit)
        try require(path.hasPrefix("/"), "\(what) is no absolute path: \(quoted(path))")
    }

    /// Cut off: it comes from whoever made the document.
    static func quoted(_ text: String) -> String { "'\(text.prefix(80))'" }
}

extension RepositoryDescription: CheckedDocument {
    package func check() throws(VarveError) { try DocumentCheck.repositoryID(repository, "'repository'") }
}

extension CopyDescription: CheckedDocument {
    package func check() throws(VarveError) {
        try DocumentCheck.repositoryID(repository, "'repository'")
        try DocumentCheck.repositoryID(copy, "'copy'")
        try DocumentCheck.text(label, "'label'")
        try DocumentCheck.text(role, "'role'")
    }
}

extension RepositoryIdentity: CheckedDocument {
    package func check() throws(VarveError) {
        try description.check()
        try copy.check()
    }
}

extension CopyRecord: CheckedDocument {
    /// A copy counts its changes; nobody comes near to this, and counting on must not overflow.
    static let generationLimit: UInt64 = 1 << 62

    package func check() throws(VarveError) {
        try DocumentCheck.repositoryID(repository, "'repository'")
        try DocumentCheck.repositoryID(copy, "'copy'")
        for (text, what) in [(label, "'label'"), (role, "'role'"), (host, "'host'"), (mark, "'mark'")] {
            try DocumentCheck.text(text, what)
        }
        try DocumentCheck.path(path, "'path'")
        for name in [newestSnapshot, verifiedSnapshot].compactMap(\.self) {
            try DocumentCheck.snapshotName(name, "a snapshot that it names")
        }
        try DocumentCheck.require(generation < Self.generationLimit, "'generation' is \(generation)")
    }
}

extension CopyList: CheckedDocument {
    package func check() throws(VarveError) {
        try DocumentCheck.repositoryID(repository, "'repository'")
        for record in copies { try record.check() }
    }
}

extension Manifest: CheckedDocument {
    /// Ids, and where files come to lie: a restore joins these to its target.
    package func check() throws(VarveError) {
        try DocumentCheck.repositoryID(repository, "'repository'")
        if let previous { try DocumentCheck.snapshotName(previous, "'previous'") }
        for file in files {
            try Self.checkPath(file.path)
            if let map = file.map { try DocumentCheck.contentID(map, "the map of \(file.path)") }
        }
        for directory in directories where directory.path != "." { try Self.checkPath(directory.path) }
        guard let environment else { return }
        try DocumentCheck.path(environment.home, "'home'")
        for place in environment.dataDirectories + [environment.logDirectory] where place.restored != "." {
            try Self.checkPath(place.restored)
        }
    }

    /// Beneath a restore's target, and nowhere else. Whether a file system takes so long a name is `RestorePlan`'s matter.
    static func checkPath(_ path: String) throws(VarveError) {
        for component in path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
            let isName =
                !component.isEmpty && !component.elementsEqual(".".utf8)
                && !component.elementsEqual("..".utf8)
                && !component.contains(0)
            try DocumentCheck.require(
                isName,
                "the manifest names a file outside of the restore's target: \(DocumentCheck.quoted(path))")
        }
    }
}
