internal import Foundation
internal import Glibc

/// A folder for the files of drills, removed at the end.
struct TemporaryFolder: Sendable {
    let path: String

    init() throws {
        var template = Array("\(NSTemporaryDirectory())/sandbox-manager-drill-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw DrillError("cannot make a temporary folder (errno \(errno))") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// A new folder inside.
    func make(_ name: String) throws -> String {
        let inner = "\(path)/\(name)"
        try FileManager.default.createDirectory(atPath: inner, withIntermediateDirectories: true)
        return inner
    }

    func remove() { try? FileManager.default.removeItem(atPath: path) }
}
