import VarveFormat

extension RestorePlan {
    /// libdb takes a password that is not needed for a wrong one, and the logs for damaged.
    ///
    /// - Throws: `.wrongKey` if a password was given and nothing in the snapshot is encrypted.
    package func requireUse(of password: [UInt8]?) throws(VarveError) {
        guard password != nil, let environment, !environment.encrypted,
            !files.contains(where: { $0.database?.encrypted == true })
        else { return }
        throw VarveError(
            .wrongKey, "the environment of snapshot \(snapshot) is not encrypted, but a password was given",
            hint: "leave it out")
    }
}
