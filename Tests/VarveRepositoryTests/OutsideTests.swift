import Glibc
import Testing
import VarveFiles
import VarveFormat
import VarveTestSupport

@Suite struct OutsideTests {
    /// A restore into the repository would lie among its objects.
    @Test func aPlaceInTheRepositoryIsRefused() throws {
        let directory = try TemporaryDirectory()
        let repository = try TestRepository.create(at: directory.join("r"))
        #expect(symlink("r/packs", directory.join("link")) == 0)
        for place in ["r", "r/", "r/x", "r/packs/00/deep/er", "link/x", "r/../r/x"] {
            expect(.invalid, "\(place)") {
                try repository.requireOutside(directory.join(place))
            }
        }
        for place in ["x", "rr/x", "r.varve/y", ".", "absent/and/deep"] {
            try repository.requireOutside(directory.join(place))
        }
        try repository.requireOutside("/")
    }
}
