internal import PrometheusClient
internal import SandboxCore

/// The process, by the convention of all client libraries, and its heap.
struct ProcessMetrics {
    private let cpu: DoubleCounter
    private let resident: Gauge
    private let virtual: Gauge
    private let openDescriptors: Gauge
    private let maximumDescriptors: Gauge
    private let threads: Gauge
    private let heapInUse: Gauge
    private let heapHeld: Gauge

    init(
        _ registry: MetricRegistry,
        _ prefix: String,
        build: BuildInformation,
        startedAt: WallTime
    ) throws(MetricError) {
        let info = try registry.gaugeTable(
            "\(prefix)build_info",
            help: "1, with labels that say which build this is.",
            labelNames: ["version", "revision", "swift_version"],
            rows: [[build.version, build.revision, build.swiftVersion]]
        )
        info.set(row: 0, to: 1)
        // Computed once: a clock step must not look like a restart.
        let start = try registry.gauge(
            "process_start_time_seconds",
            help: "Start time of the process since the Unix epoch in seconds."
        )
        start.set(startedAt.sinceEpoch.inSeconds)
        cpu = try registry.doubleCounter(
            "process_cpu_seconds_total",
            help: "Total user and system CPU time spent in seconds."
        )
        resident = try registry.gauge("process_resident_memory_bytes", help: "Resident memory size in bytes.")
        virtual = try registry.gauge("process_virtual_memory_bytes", help: "Virtual memory size in bytes.")
        openDescriptors = try registry.gauge("process_open_fds", help: "Number of open file descriptors.")
        maximumDescriptors = try registry.gauge("process_max_fds", help: "Maximum number of open file descriptors.")
        threads = try registry.gauge("process_threads", help: "Number of threads.")
        heapInUse = try registry.gauge("\(prefix)malloc_in_use_bytes", help: "Live heap: what a leak makes grow.")
        heapHeld = try registry.gauge(
            "\(prefix)malloc_held_bytes",
            help: "Heap held from the kernel: what fragmentation makes grow."
        )
    }

    func collect(_ sample: ProcessSample) {
        cpu.advance(to: sample.cpuSeconds)
        resident.set(sample.residentBytes)
        virtual.set(sample.virtualBytes)
        openDescriptors.set(sample.openFileDescriptors)
        maximumDescriptors.set(sample.maximumFileDescriptors)
        threads.set(sample.threads)
        heapInUse.set(sample.heapInUseBytes)
        heapHeld.set(sample.heapHeldBytes)
    }
}
