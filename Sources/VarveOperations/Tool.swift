/// What manifests and evidence say of who made them.
package enum Tool {
    package static let version = "0.1.0"
    package static let name = "varve \(version)"
}
