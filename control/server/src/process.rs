//! `ProcessTelemetry`: the `process_*` and `tokio_*` families, read when the metrics are read.

use std::fs;

use prometheus::{Gauge, IntGauge, Registry};

use crate::{ServerError, http_telemetry::gauge};

/// Clock ticks per second in `/proc/self/stat`: `USER_HZ`, 100 on every Linux that this runs on
/// (proc(5)).
const TICKS_PER_SECOND: f64 = 100.0;

/// Gauges of the process and of its HTTP runtime.
#[derive(Debug)]
pub struct ProcessTelemetry {
    cpu_seconds: Gauge,
    start_time_seconds: Gauge,
    resident_bytes: IntGauge,
    virtual_bytes: IntGauge,
    threads: IntGauge,
    open_fds: IntGauge,
    max_fds: IntGauge,
    tokio_workers: IntGauge,
    tokio_tasks: IntGauge,
    tokio_queue: IntGauge,
}

impl ProcessTelemetry {
    /// Registers the families.
    ///
    /// # Errors
    /// `Metrics` if a name is taken in this registry.
    pub fn register(registry: &Registry) -> Result<Self, ServerError> {
        let float = |name: &str, help: &str| -> Result<Gauge, ServerError> {
            let gauge = Gauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        Ok(Self {
            cpu_seconds: float("process_cpu_seconds_total", "user and system time, in seconds")?,
            start_time_seconds: float("process_start_time_seconds", "start, in seconds since 1970")?,
            resident_bytes: gauge(registry, "process_resident_memory_bytes", "resident memory")?,
            virtual_bytes: gauge(registry, "process_virtual_memory_bytes", "virtual memory")?,
            threads: gauge(registry, "process_threads", "threads")?,
            open_fds: gauge(registry, "process_open_fds", "open descriptors")?,
            max_fds: gauge(registry, "process_max_fds", "descriptors that may be open")?,
            tokio_workers: gauge(registry, "tokio_workers", "worker threads of the HTTP runtime")?,
            tokio_tasks: gauge(registry, "tokio_alive_tasks", "tasks alive in the HTTP runtime")?,
            tokio_queue: gauge(registry, "tokio_global_queue_depth", "tasks in the runtime's global queue")?,
        })
    }

    /// Reads everything anew. What cannot be read keeps its last value.
    pub fn refresh(&self) {
        if let Ok(stat) = fs::read_to_string("/proc/self/stat") {
            self.take_stat(&stat);
        }
        if let Ok(status) = fs::read_to_string("/proc/self/status") {
            self.take_status(&status);
        }
        if let Ok(limits) = fs::read_to_string("/proc/self/limits") {
            let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
            if let Some(max) = line.and_then(|line| number(line.split_whitespace().next())) {
                self.max_fds.set(max);
            }
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            self.open_fds.set(i64::try_from(open.count()).unwrap_or(i64::MAX));
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let metrics = runtime.metrics();
            let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
            self.tokio_workers.set(count(metrics.num_workers()));
            self.tokio_tasks.set(count(metrics.num_alive_tasks()));
            self.tokio_queue.set(count(metrics.global_queue_depth()));
        }
    }

    /// Fields of proc(5) `stat` after the command, which may itself hold spaces and parentheses.
    fn take_stat(&self, stat: &str) {
        let Some((_, rest)) = stat.rsplit_once(')') else { return };
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok());
        if let (Some(user), Some(system)) = (ticks(11), ticks(12)) {
            self.cpu_seconds.set((user + system) / TICKS_PER_SECOND);
        }
        if let (Some(started), Some(boot)) = (ticks(19), boot_time_seconds()) {
            self.start_time_seconds.set(boot + started / TICKS_PER_SECOND);
        }
    }

    fn take_status(&self, status: &str) {
        for line in status.lines() {
            let Some((name, value)) = line.split_once(':') else { continue };
            let Some(value) = number(value.split_whitespace().next()) else { continue };
            match name {
                "VmRSS" => self.resident_bytes.set(value.saturating_mul(1024)),
                "VmSize" => self.virtual_bytes.set(value.saturating_mul(1024)),
                "Threads" => self.threads.set(value),
                _ => {}
            }
        }
    }
}

fn number(text: Option<&str>) -> Option<i64> {
    text?.parse().ok()
}

fn boot_time_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_process_is_read() {
        let process = ProcessTelemetry::register(&Registry::new()).unwrap();
        process.refresh();
        assert!(process.resident_bytes.get() > 100_000);
        assert!(process.virtual_bytes.get() >= process.resident_bytes.get());
        assert!(process.threads.get() >= 1);
        assert!(process.open_fds.get() >= 3);
        assert!(process.max_fds.get() >= process.open_fds.get());
        assert!(process.start_time_seconds.get() > 1_500_000_000.0);
    }

    #[test]
    fn a_command_with_parentheses_does_not_shift_the_fields() {
        let process = ProcessTelemetry::register(&Registry::new()).unwrap();
        process.take_stat("1 (a) b) c) S 1 1 1 0 -1 4194560 1 2 3 4 150 50 7 8 20 0 1 0 400 1 1");
        assert!((process.cpu_seconds.get() - 2.0).abs() < 1e-9);
    }
}
