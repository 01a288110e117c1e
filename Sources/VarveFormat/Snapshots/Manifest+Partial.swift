extension Manifest {
    /// The backup was asked for some databases only (`backup --only`), so what is restored is not the whole environment.
    ///
    /// A partial snapshot never stands for the environment: it is not `latest` where there is a whole one, and no policy
    /// counts it.
    package var isPartial: Bool { environment?.only != nil }
}
