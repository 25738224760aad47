/// Finds the child of `http_requests_total` without building or hashing a string: it runs for every request.
struct RequestRows {
    static let codes = [200, 201, 202, 204, 400, 401, 404, 409, 413, 429, 500, 502, 503, 504]

    /// The label values of every child.
    let rows: [[String]]
    private let routes = Array(Route.allCases)
    /// For each route its methods, and where their children begin.
    private let methods: [[(name: String, firstRow: Int)]]
    private let otherRow: Int

    init() {
        var rows: [[String]] = []
        func append(_ route: String, _ method: String) -> Int {
            defer { rows += (Self.codes.map(String.init) + ["other"]).map { [route, method, $0] } }
            return rows.count
        }
        methods = routes.map { route in
            route.methods.map { ($0, append(route.rawValue, $0)) }
        }
        otherRow = append(Route.other.rawValue, "other")
        self.rows = rows
    }

    /// Pairs of route and method that are refused share one row, as do codes that are not listed.
    func row(_ route: Route, _ method: String, _ code: Int) -> Int {
        let known = routes.firstIndex(of: route).flatMap { methods[$0].first { $0.name == method }?.firstRow }
        return (known ?? otherRow) + (Self.codes.firstIndex(of: code) ?? Self.codes.count)
    }
}
