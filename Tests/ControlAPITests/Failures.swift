import SandboxCore

@testable import ControlAPI

/// The reason that `body` failed for; nil if it did not.
func performing(_ body: () throws -> some Any) -> ErrorReason? {
    do {
        _ = try body()
        return nil
    } catch {
        return (error as? ManagerError)?.reason ?? .internal
    }
}

/// What a caller is told when `body` fails; empty if it does not.
func performingWords(_ body: () throws -> some Any) -> String {
    do {
        _ = try body()
        return ""
    } catch {
        return (error as? ManagerError)?.words ?? "\(error)"
    }
}
