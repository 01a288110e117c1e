extension Manifest {
    /// Words of `Manifest.requires`: what a restore has to be able to do, so that nothing of the snapshot is lost.
    package enum Requirement {
        /// Recovery by libdb alone would remove databases: some changed their names within the stored logs.
        package static let recoveryByUID = "recovery-by-uid"

        package static let known: Set<String> = [recoveryByUID]
    }

    /// Throws `.unsupported` for a snapshot that requires what this version can't do.
    package func requireKnownRequirements(location: String? = nil) throws(VarveError) {
        guard let word = requires?.first(where: { !Requirement.known.contains($0) }) else { return }
        throw VarveError(
            .unsupported, "snapshot \(sequence) requires \"\(word)\", which this varve can't do",
            location: location, hint: "use a newer varve")
    }
}
