import VarveCapture
import VarveFiles
import VarveFormat
import VarveHelperProtocol

/// Undoes what a killed backup left; see `VarveCapture.unwedge`.
package func unwedge(_ options: EnvironmentOptions, password: [UInt8]?) throws(VarveError) -> UnwedgeReport {
    try unwedge(
        CaptureEnvironment(
            home: options.home, dataDirectories: options.dataDirectories, logDirectory: options.logDirectory),
        password: password)
}
