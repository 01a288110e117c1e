import Glibc
import ProcessSupport
import VarveFiles

/// An instance of 389 Directory Server on Berkeley DB, started by hand: no systemd, nothing outside of its directory,
/// and a socket file instead of a port.
///
/// It opens its databases by absolute names, and its log directory is set in its code, from its configuration.
final class DirectoryServer {
    static let suffix = "dc=example,dc=com"
    private static let template = "/usr/share/dirsrv/data/template-dse.ldif"

    let root: String
    /// The environment's home, the directory of its databases, and that of its logs.
    let home: String
    let data: String
    let logs: String
    private var server: RunningProcess?

    /// Makes the instance's directories and its configuration; nothing runs yet, and the environment is not there.
    ///
    /// - Parameters:
    ///   - logs: their directory, beneath `root`.
    ///   - home: with the regions; nil: where the databases are.
    init(_ root: String, logs: String = "dblogs", home: String? = nil) throws {
        self.root = root
        data = Path.join(root, "db")
        self.home = home ?? data
        self.logs = Path.join(root, logs)
        try Directory.create(root, mode: 0o755)
        for name in ["config", "config/schema", "run", "log", "lock", "tmp", "ldif", "bak"] {
            try Directory.create(Path.join(root, name), mode: 0o755)
        }
        try Text.write(try configuration(), to: Path.join(root, "config/dse.ldif"))
        for (source, directory) in [
            ("/etc/dirsrv/config/slapd-collations.conf", "config"),
            ("/etc/dirsrv/config/certmap.conf", "config"),
            ("/etc/dirsrv/schema/99user.ldif", "config/schema"),
        ] {
            try run("cp", [source, Path.join(root, directory)]).require(0)
        }
        try giveToServer(root)
    }

    /// The empty directories of a new environment.
    func makeEnvironment() throws {
        for path in Set([home, data, logs]) {
            try Directory.create(path, mode: 0o700)
            try giveToServer(path)
        }
    }

    private func giveToServer(_ path: String) throws {
        if Host.isRoot { try run("chown", ["-R", "dirsrv:dirsrv", path]).require(0) }
    }

    private func configuration() throws -> String {
        let user = Host.isRoot ? "dirsrv" : try run("id", ["-un"]).require(0).output.filter { $0 != "\n" }
        let values = [
            "schema_dir": Path.join(root, "config/schema"), "lock_dir": Path.join(root, "lock"),
            "tmp_dir": Path.join(root, "tmp"), "cert_dir": Path.join(root, "config"),
            "ldif_dir": Path.join(root, "ldif"), "bak_dir": Path.join(root, "bak"),
            "run_dir": Path.join(root, "run"), "inst_dir": root, "log_dir": Path.join(root, "log"),
            "config_dir": Path.join(root, "config"), "db_home_dir": home, "db_lib": "bdb",
            "db_dir": data + "\nnsslapd-db-logdirectory: " + logs, "fqdn": "localhost", "ds_port": "0",
            "ds_user": user, "rootdn": "cn=Directory Manager", "ds_passwd": "{CLEAR}password",
            "ds_suffix": Self.suffix, "ldapi_enabled": "on", "ldapi": socket, "ldapi_autobind": "off",
        ]
        var text = try Text.read(Self.template)
        for (name, value) in values { text = text.replacing("%\(name)%", with: value) }
        // Two empty lines would be an entry without a name.
        while text.hasSuffix("\n") { text.removeLast() }
        return text + """


            dn: cn=userRoot,cn=ldbm database,cn=plugins,cn=config
            objectClass: top
            objectClass: extensibleObject
            objectClass: nsBackendInstance
            cn: userRoot
            nsslapd-suffix: \(Self.suffix)
            nsslapd-directory: \(data)/userRoot

            dn: cn=\(Self.suffix.replacing("=", with: "\\3D").replacing(",", with: "\\2C")),cn=mapping tree,cn=config
            objectClass: top
            objectClass: extensibleObject
            objectClass: nsMappingTree
            cn: \(Self.suffix)
            nsslapd-state: backend
            nsslapd-backend: userRoot

            """
    }

    private var socket: String { Path.join(root, "run/socket") }
    private var url: String { "ldapi://" + socket.replacing("/", with: "%2F") }
    private var login: [String] { ["-x", "-H", url, "-D", "cn=Directory Manager", "-w", "password"] }

    /// Starts it and waits until it answers.
    func start() throws {
        let running = try RunningProcess(
            "ns-slapd", ["-D", Path.join(root, "config"), "-i", Path.join(root, "run/pid"), "-d", "0"])
        server = running
        try waitUntil("the directory server's answer", seconds: 60, every: 100_000) {
            guard running.isRunning else {
                let log = (try? Text.read(Path.join(root, "log/errors"))) ?? ""
                throw ProcessFailure(
                    "the directory server ended: \(try running.wait(seconds: 1))\n\(log.suffix(3000))")
            }
            return try run("ldapsearch", login + ["-LLL", "-b", "", "-s", "base", "vendorVersion"]).code == 0
        }
    }

    func stop() throws {
        try server?.terminate().require(0)
        server = nil
    }

    /// Kills it, as a failing machine would.
    func kill() throws {
        try server?.killGroup()
        server = nil
    }

    /// Adds the suffix's own entry.
    func addSuffix(notes directory: String) throws {
        let file = Path.join(directory, "suffix.ldif")
        try Text.write("dn: \(Self.suffix)\nobjectClass: top\nobjectClass: domain\ndc: example\n", to: file)
        try run("ldapadd", login + ["-f", file]).require(0)
    }

    /// Adds the entry of this number.
    func add(_ number: Int) throws {
        let file = Path.join(root, "tmp/entry.ldif")
        try Text.write(Self.entry(String(number)).replacing("\\n", with: "\n"), to: file)
        try run("ldapadd", login + ["-f", file]).require(0)
    }

    /// As `printf` is given it.
    private static func entry(_ number: String) -> String {
        "dn: uid=u\(number),\(suffix)\\nobjectClass: top\\nobjectClass: account\\nuid: u\(number)\\n"
            + "description: entry \(number)\\n"
    }

    /// Begins to add the entries u1 and on, one after the other: at least so many, and until there is a file `stop`.
    func startAdding(_ count: Int, until stop: String) throws -> RunningProcess {
        let script = """
            stop=$1 count=$2
            shift 2
            i=0
            while [ ! -e "$stop" ] || [ $i -lt $count ]; do
                i=$((i + 1))
                printf '\(Self.entry("%d"))\\n' $i $i $i
            done | stdbuf -oL ldapadd "$@"
            """
        return try RunningProcess("sh", ["-c", script, "adder", stop, String(count)] + login)
    }

    /// Entries that `ldapadd` names: all but perhaps the last one are acknowledged.
    static func named(_ adding: RunningProcess) -> Int {
        adding.outputSoFar.ranges(of: "adding new entry").count
    }

    /// The numbers of the entries that a search finds.
    func entries(_ filter: String) throws -> [Int] {
        let found = try run("ldapsearch", login + ["-LLL", "-b", Self.suffix, filter, "uid"]).require(0)
            .output
        return found.split(separator: "\n").compactMap { line in
            line.hasPrefix("uid: u") ? Int(line.dropFirst(6)) : nil
        }.sorted()
    }
}
