import VarveFiles

/// Randomness that a failure can be repeated with: `VARVE_TEST_SEED`, else a new one, printed.
package struct SeededGenerator: RandomNumberGenerator {
    package let seed: UInt64
    private var state: UInt64

    package init(for name: String) {
        self.init(
            seed: Executable.variables["VARVE_TEST_SEED"].flatMap(UInt64.init) ?? .random(in: 1...999_999_999)
        )
        print("\(name): VARVE_TEST_SEED=\(seed)")
    }

    package init(seed: UInt64) {
        self.seed = seed
        state = seed
    }

    /// SplitMix64.
    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
