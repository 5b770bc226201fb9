//! The machine's shape, what a process uses of it, and a way to make its disk slower.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::numbers::{median, micros};

/// Prints what the figures depend on.
pub fn describe(home: &Path) {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("?", |m| m.1);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!(
        "{cores} cores, {model}, Linux {}, fsync of a small append {} µs; load before: {}",
        kernel.trim(),
        fsync(home),
        load.split(' ').next().unwrap_or("?"),
    );
}

/// How long the disk takes to keep a small append: the median of a hundred, in microseconds.
fn fsync(home: &Path) -> u64 {
    let path = home.join("fsync");
    let mut file = File::create(&path).expect("a file to append to");
    let times: Vec<u64> = (0..100)
        .map(|_| {
            let start = Instant::now();
            file.write_all(&[0; 4096]).expect("room for a small append");
            file.sync_data().expect("a disk that keeps it");
            micros(start.elapsed())
        })
        .collect();
    fs::remove_file(path).expect("our own file");
    median(&times)
}

/// How much of a process is resident, in KiB; `peak` for the most it ever was.
pub fn resident(pid: u32, peak: bool) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
    let name = if peak { "VmHWM:" } else { "VmRSS:" };
    let line = status.lines().find(|line| line.starts_with(name)).expect("its resident size");
    line.split_whitespace().nth(1).and_then(|size| size.parse().ok()).expect("a number of KiB")
}

/// How long a process has been on a core so far, all its threads together. Counted by the kernel in 10 ms.
pub fn cpu(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a running process");
    let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<u64>().expect("a number of ticks");
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

/// Whether a program of this name can be run.
pub fn has(program: &str) -> bool {
    Command::new("sh")
        .args(["-c", &format!("command -v {program} >/dev/null 2>&1")])
        .status()
        .is_ok_and(|s| s.success())
}

/// A library that, preloaded, makes every fsync take `SLOW_FSYNC_US` microseconds longer. `None`, loudly, without a C
/// compiler.
pub fn slow_disk(home: &Path) -> Option<PathBuf> {
    let library = home.join("slow_fsync.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/bench/slow_fsync.c");
    let built =
        Command::new("cc").args(["-O2", "-shared", "-fPIC", "-o"]).arg(&library).arg(source).arg("-ldl").status();
    if built.is_ok_and(|status| status.success()) {
        return Some(library);
    }
    println!("!!! SKIPPED: no C compiler, so no slow disk");
    None
}

/// The environment in which every fsync takes this much longer.
pub fn slowed(library: &Path, by: Duration) -> Vec<(&'static str, String)> {
    vec![("LD_PRELOAD", library.display().to_string()), ("SLOW_FSYNC_US", by.as_micros().to_string())]
}
