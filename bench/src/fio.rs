//! `Fio`: the device's own clock, told by a program that is not ours.
//!
//! `fio` overwrites a file that was written full before, with `O_DIRECT`, `O_DSYNC` and `io_uring`,
//! a given number of writes in flight: the pattern of a journal. Its latency is submission and
//! completion together, as the bare ring's is. Where there is no `fio` it is a missing peer.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;

/// The pattern of one block of writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pattern {
    /// Bytes of a write.
    pub write_bytes: usize,
    /// Writes in flight.
    pub depth: u16,
    /// Writes in all.
    pub writes: u32,
}

/// What a block came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// Median of a write, in microseconds.
    pub p50_us: f64,
    /// 99 of 100 writes took at most this, in microseconds.
    pub p99_us: f64,
    /// Writes in a second.
    pub writes_per_second: f64,
}

/// The program and the file that it overwrites.
#[derive(Debug)]
pub struct Fio {
    file: PathBuf,
    file_bytes: u64,
    core: Option<usize>,
    /// What it says it is.
    pub version: String,
}

impl Fio {
    /// The program on this host, to overwrite `file` of `file_bytes`, which is written full;
    /// `None` if there is none. Its thread is bound to `core`.
    #[must_use]
    pub fn find(file: &Path, file_bytes: u64, core: Option<usize>) -> Option<Self> {
        let said = Command::new("fio").arg("--version").output().ok()?;
        let version = String::from_utf8(said.stdout).ok()?.trim().to_owned();
        said.status.success().then(|| Self { file: file.to_path_buf(), file_bytes, core, version })
    }

    /// Runs one block in a process of its own.
    ///
    /// # Errors
    /// If `fio` fails, or wrote another number of times than it was asked to.
    pub fn run(&self, pattern: Pattern) -> anyhow::Result<Found> {
        let mut command = Command::new("fio");
        command.args(self.arguments(pattern));
        let done = command.output().context("fio")?;
        ensure!(done.status.success(), "fio: {}", String::from_utf8_lossy(&done.stderr));
        let told: Value = serde_json::from_slice(&done.stdout).context("what fio told")?;
        found(&told, pattern)
    }

    fn arguments(&self, pattern: Pattern) -> Vec<String> {
        let mut arguments = vec![
            "--name=device".to_owned(),
            format!("--filename={}", self.file.display()),
            format!("--size={}", self.file_bytes),
            format!("--bs={}", pattern.write_bytes),
            format!("--iodepth={}", pattern.depth),
            format!("--number_ios={}", pattern.writes),
            // Enough for every write that is asked for, however small the file.
            format!("--io_size={}", u64::from(pattern.writes) * pattern.write_bytes as u64),
        ];
        arguments.extend(FIXED.iter().map(|word| (*word).to_owned()));
        arguments.extend(self.core.map(|core| format!("--cpus_allowed={core}")));
        arguments
    }
}

const FIXED: [&str; 11] = [
    "--rw=write",
    "--direct=1",
    "--sync=dsync",
    "--ioengine=io_uring",
    "--registerfiles=1",
    "--allow_file_create=0",
    "--thread",
    "--lat_percentiles=1",
    "--clat_percentiles=0",
    "--percentile_list=50:99",
    "--output-format=json",
];

fn found(told: &Value, pattern: Pattern) -> anyhow::Result<Found> {
    let write = &told["jobs"][0]["write"];
    let total = write["total_ios"].as_u64().context("fio told no count")?;
    ensure!(total == u64::from(pattern.writes), "fio wrote {total} times, not {}", pattern.writes);
    ensure!(told["jobs"][0]["error"] == 0, "fio met an error: {}", told["jobs"][0]["error"]);
    let percentile = |name: &str| {
        let nanos = write["lat_ns"]["percentile"][name].as_f64();
        nanos.map(|nanos| nanos / 1_000.0).with_context(|| format!("fio told no percentile {name}"))
    };
    Ok(Found {
        p50_us: percentile("50.000000")?,
        p99_us: percentile("99.000000")?,
        writes_per_second: write["iops"].as_f64().context("fio told no rate")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bare_ring::BareRing;

    #[test]
    fn what_fio_tells_is_read() {
        let pattern = Pattern { write_bytes: 4096, depth: 1, writes: 500 };
        let told = serde_json::json!({"jobs": [{"error": 0, "write": {
            "total_ios": 500, "iops": 15_144.5,
            "lat_ns": {"percentile": {"50.000000": 50_432, "99.000000": 119_296}}}}]});
        let read = found(&told, pattern).unwrap();
        assert_eq!(read, Found { p50_us: 50.432, p99_us: 119.296, writes_per_second: 15_144.5 });
        assert!(found(&told, Pattern { writes: 501, ..pattern }).is_err(), "it stopped early");
        assert!(found(&serde_json::json!({}), pattern).is_err());
    }

    #[test]
    fn fio_overwrites_what_is_there() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("device");
        let (Some(fio), Ok(_)) = (Fio::find(&file, 64 << 10, None), BareRing::open(&file, 64 << 10, 4096, 2))
        else {
            println!("not run, this host has no fio or no io_uring");
            return;
        };
        let read = fio.run(Pattern { write_bytes: 4096, depth: 2, writes: 40 }).unwrap();
        assert!(read.p50_us > 0.0 && read.p99_us >= read.p50_us && read.writes_per_second > 0.0);
        assert_eq!(std::fs::metadata(&file).unwrap().len(), 64 << 10, "it has not grown");
        std::fs::remove_file(&file).unwrap();
        assert!(fio.run(Pattern { write_bytes: 4096, depth: 1, writes: 1 }).is_err());
    }
}
