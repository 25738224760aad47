internal import Configuration

/// One source of texts by key: the flags, the environment or the file.
struct ConfigurationLayer {
    /// swift-configuration's view of the source.
    var snapshot: any ConfigSnapshot
    /// Where the value of a key is found in this source.
    var source: @Sendable (ConfigurationKey) -> ConfigurationSource

    /// The text of a key, or `nil` if this source does not have it.
    ///
    /// - Throws: If the source has a sequence where one text is expected.
    func text(of key: ConfigurationKey, isList: Bool) throws(InvalidValue) -> String? {
        let path = AbsoluteConfigKey(key.components)
        if case .success(let result) = Result(catching: { try snapshot.value(forKey: path, type: .string) }) {
            guard let value = result.value else { return nil }
            if case .string(let text) = value.content { return text }
        } else if isList,
            case .success(let result) = Result(catching: { try snapshot.value(forKey: path, type: .stringArray) }),
            case .stringArray(let items) = result.value?.content
        {
            return items.joined(separator: ",")
        }
        throw InvalidValue(isList ? "is neither a text nor a list of texts" : "is a list where one value is expected")
    }
}
