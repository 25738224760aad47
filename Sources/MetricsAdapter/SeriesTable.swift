internal import PrometheusClient

/// Which families and children there are, who uses them, and how many more there may be.
///
/// A value without locks: the factory guards it. What it calls (adding to and removing from the registry) waits for
/// nothing.
struct SeriesTable {
    /// Finds a family again: by the name it should have, which may not be the one it got.
    struct FamilyKey: Hashable {
        let type: MetricType
        let wantedName: String
    }

    /// Finds a child again.
    struct ChildKey: Hashable {
        let family: FamilyKey
        /// The label values as bytes: `==` on `String` takes different spellings of one character for equal.
        let values: [[UInt8]]
    }

    /// What came of asking for a child.
    struct Answer {
        /// Nil if it can't be on the page.
        var child: AdaptedChild?
        /// What to give back; nil for a child that is shared by all that overflowed.
        var key: ChildKey?
        var conflicts: [ConflictReason] = []
        var overflow: OverflowBound?
    }

    private struct Slot {
        let child: AdaptedChild
        var users: Int
        /// When its last user left, in the order of leaving; 0 while there are users.
        var releasedAt: UInt64
    }

    private struct Family {
        let family: AdaptedFamily
        /// The swift-metrics label of its first use.
        let label: String
        let isRenamed: Bool
        var slots: [[[UInt8]]: Slot] = [:]
        var released = 0
        var overflow: AdaptedChild?

        var isLabeled: Bool { !family.labelNames.isEmpty }

        /// What counts against the bound: at least one child, and the `other` of a family that may need one.
        var reserved: Int { reserved(for: slots.count) }

        var printed: Int { family.seriesPerChild * (slots.count + (overflow == nil ? 0 : 1)) }

        func reserved(for children: Int) -> Int {
            family.seriesPerChild * (isLabeled ? max(children, 1) + 1 : 1)
        }
    }

    private let maximumSeries: Int
    private let maximumChildren: Int
    private var families: [FamilyKey: Family] = [:]
    private var reserved = 0
    private var releases: UInt64 = 0
    /// How many series are on the page.
    private(set) var printed = 0

    init(maximumSeries: Int, maximumChildren: Int) {
        self.maximumSeries = maximumSeries
        self.maximumChildren = max(maximumChildren, 1)
    }

    /// Finds or adds the child for a metric, in a family that `register` makes if it is new.
    ///
    /// - Parameters:
    ///   - key: What the family should be.
    ///   - label: The metric's label in swift-metrics.
    ///   - labels: The metric's dimensions.
    ///   - cost: How many series a child of a new family is.
    ///   - register: Registers a family under the wanted name or the substitute, and says whether it is the latter.
    /// - Returns: The child, now with one user more, and what was not as it should be.
    mutating func acquire(
        _ key: FamilyKey,
        label: String,
        labels: LabelPairs,
        cost: Int,
        register: () throws(MetricError) -> (family: AdaptedFamily, isRenamed: Bool)
    ) -> Answer {
        if families[key] == nil {
            guard makeRoom(for: labels.names.isEmpty ? cost : 2 * cost) else { return Answer(overflow: .total) }
            guard let (made, isRenamed) = try? register() else { return Answer(conflicts: [.refused]) }
            let family = Family(family: made, label: label, isRenamed: isRenamed)
            reserved += family.reserved
            families[key] = family
        }
        // Out of the table while it changes, so that it is not copied.
        guard var family = families.removeValue(forKey: key) else { return Answer() }
        let before = (reserved: family.reserved, printed: family.printed)
        var answer = child(of: key, in: &family, labels: labels)
        reserved += family.reserved - before.reserved
        printed += family.printed - before.printed
        families[key] = family

        if family.isRenamed { answer.conflicts.append(.renamed) }
        if family.label != label { answer.conflicts.append(.merged) }
        if family.family.labelNames != labels.names { answer.conflicts.append(.labels) }
        return answer
    }

    private mutating func child(of key: FamilyKey, in family: inout Family, labels: LabelPairs) -> Answer {
        let values = labels.values(for: family.family.labelNames)
        let bytes = values.map { Array($0.utf8) }
        let childKey = ChildKey(family: key, values: bytes)
        if var slot = family.slots[bytes] {
            if slot.users == 0 { family.released -= 1 }
            slot.users += 1
            slot.releasedAt = 0
            family.slots[bytes] = slot
            return Answer(child: slot.child, key: childKey)
        }
        if family.isLabeled, values.allSatisfy({ $0 == LabelPairs.other }) {
            return Answer(child: Self.overflow(of: &family))
        }
        if let bound = makeRoom(in: &family) {
            return Answer(child: Self.overflow(of: &family), overflow: bound)
        }
        guard let child = try? family.family.add(values) else { return Answer(conflicts: [.refused]) }
        family.slots[bytes] = Slot(child: child, users: 1, releasedAt: 0)
        return Answer(child: child, key: childKey)
    }

    /// Takes a user off a child.
    ///
    /// A gauge that nobody sets any more is removed at once, for its value would be a lie. What only grows stays, so
    /// that it counts on if it is asked for again, until another child needs its room.
    mutating func release(_ key: ChildKey) {
        guard var family = families[key.family], var slot = family.slots[key.values], slot.users > 0 else { return }
        slot.users -= 1
        if slot.users == 0 {
            releases += 1
            slot.releasedAt = releases
            family.released += 1
        }
        family.slots[key.values] = slot
        families[key.family] = family
        if slot.users == 0, key.family.type == .gauge { remove(key) }
    }
}

// MARK: Room

extension SeriesTable {
    /// Nil if there is room for one more child, if need be in place of one that nobody uses; else the bound in the way.
    ///
    /// `family` is out of the table meanwhile.
    private mutating func makeRoom(in family: inout Family) -> OverflowBound? {
        if family.slots.count >= maximumChildren {
            guard let oldest = Self.oldestReleased(of: family) else { return .metric }
            Self.remove(oldest.values, from: &family)
            // Its room is still reserved, and just right.
            return nil
        }
        let needed = family.reserved(for: family.slots.count + 1) - family.reserved
        if makeRoom(for: needed) { return nil }
        guard let oldest = Self.oldestReleased(of: family) else { return .total }
        Self.remove(oldest.values, from: &family)
        return nil
    }

    /// False if there is none. Children without users go, the one longest without first.
    private mutating func makeRoom(for needed: Int) -> Bool {
        while reserved + needed > maximumSeries {
            // The last child of a family has its room for good.
            let candidates = families.compactMap { key, family in
                family.slots.count > 1
                    ? Self.oldestReleased(of: family).map { (key, $0.values, $0.releasedAt) } : nil
            }
            guard let oldest = candidates.min(by: { $0.2 < $1.2 }) else { return false }
            remove(ChildKey(family: oldest.0, values: oldest.1))
        }
        return true
    }

    private mutating func remove(_ key: ChildKey) {
        guard var family = families[key.family] else { return }
        let before = (family.reserved, family.printed)
        Self.remove(key.values, from: &family)
        reserved += family.reserved - before.0
        printed += family.printed - before.1
        families[key.family] = family
    }

    private static func remove(_ values: [[UInt8]], from family: inout Family) {
        guard let slot = family.slots.removeValue(forKey: values) else { return }
        if slot.users == 0 { family.released -= 1 }
        family.family.remove(slot.child)
    }

    private static func oldestReleased(of family: Family) -> (values: [[UInt8]], releasedAt: UInt64)? {
        guard family.released > 0 else { return nil }
        return family.slots.filter { $0.value.users == 0 }.min { $0.value.releasedAt < $1.value.releasedAt }
            .map { ($0.key, $0.value.releasedAt) }
    }

    private static func overflow(of family: inout Family) -> AdaptedChild? {
        if let overflow = family.overflow { return overflow }
        family.overflow = try? family.family.add(family.family.labelNames.map { _ in LabelPairs.other })
        return family.overflow
    }
}
