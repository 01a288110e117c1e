import Testing
import VarveTestSupport

@testable import VarveFiles

@Suite struct MountTableTests {
    @Test func placesAreRead() {
        let table = MountTable(
            parsing: """
                # /etc/fstab
                UUID=1 / ext4 defaults 0 1
                UUID=2 /mnt/off\\040site\text4\tnoauto 0 0

                /swapfile none swap sw 0 0
                nonsense
                server:/x /srv/net nfs defaults
                """)
        #expect(table.places == ["/mnt/off site", "/srv/net"])
    }

    /// Nothing is mounted at the directories of a test, and something is at `/proc`.
    @Test func whatIsNotMountedIsTold() throws {
        let directory = try TemporaryDirectory()
        let path = try Path.resolve(directory.path)
        let table = MountTable(parsing: "a \(path)/disk ext4\nb /proc proc\nc \(path)/disk/gone ext4")
        try Directory.create(path + "/disk")
        for inner in ["/disk", "/disk/repository"] {
            #expect(try table.unmounted(above: path + inner) == path + "/disk")
        }
        #expect(try table.unmounted(above: path + "/disk/gone/x") == path + "/disk/gone")
        // The controls.
        for other in [path + "/diskette", path, "/proc/x"] {
            #expect(try table.unmounted(above: other) == nil, "\(other)")
        }
    }
}
