//! How much memory `twinwalk run` takes, whatever the length of the trace: under 64 MiB where a trace touches 1 GiB in pages of 4 KiB.
//!
//! Contract: none. SDM: none. Counterpart: none. Linux only: the peak is that of `/proc/PID/status`.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufWriter, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

const LIMIT_KIB: u64 = 64 << 10;
/// 1 GiB in pages of 4 KiB.
const PAGES: u64 = 262_144;
const PAGE_BYTES: u64 = 4 << 10;

/// The most memory that the process has had resident so far, unless it has ended.
fn peak_kib(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn spawn(preset: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_twinwalk"))
        .args(["run", "--trace", "-", "--json", "--config", preset])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs")
}

/// Stores to every page once, `distance_bytes` apart, then loads from them in no order, until there were `references`. The peak in KiB.
fn peak_of_run(preset: &str, distance_bytes: u64, references: u64) -> u64 {
    let mut child = spawn(preset);
    let process = child.id();
    let mut input = BufWriter::with_capacity(1 << 16, child.stdin.take().expect("a pipe"));
    let peak = AtomicU64::new(0);
    let output = thread::scope(|scope| {
        scope.spawn(|| {
            while let Some(kib) = peak_kib(process) {
                peak.fetch_max(kib, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(2));
            }
        });
        let mut state = 1u64;
        for number in 0..references {
            let (kind, page) = if number < PAGES {
                ('S', number)
            } else {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                ('L', state >> 33 & (PAGES - 1))
            };
            let address = 0x1000_0000_0000 + page * distance_bytes + number % 512 * 8;
            writeln!(input, " {kind} {address:08x},8").expect("it reads");
        }
        drop(input);
        child.wait_with_output().expect("it ends")
    });
    assert!(output.status.success());
    let figures: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(figures["pages"], PAGES);
    assert_eq!(figures["references"], references);
    let peak = peak.into_inner();
    // A program that has read its arguments has so much: the peak was seen.
    assert!(peak > 3 << 10, "{peak} KiB");
    println!("{preset}, a page every {distance_bytes} bytes, {references} references: {peak} KiB");
    peak
}

#[test]
fn a_gigabyte_of_adjacent_pages_takes_less_than_the_limit_whatever_the_length() {
    for preset in ["preset:default", "preset:textbook"] {
        let short = peak_of_run(preset, PAGE_BYTES, PAGES + 100_000);
        let long = peak_of_run(preset, PAGE_BYTES, PAGES + 1_500_000);
        assert!(long < LIMIT_KIB, "{preset}: {long} KiB");
        assert!(
            long < short + (2 << 10),
            "{preset}: {short}, then {long} KiB"
        );
    }
}

/// No two pages share a page table, nor, where they are further apart, 64 bytes of a directory.
#[test]
fn a_gigabyte_of_pages_far_apart_takes_less_than_the_limit() {
    for (preset, distance_bytes) in [
        ("preset:default", 2 << 20),
        ("preset:textbook", 2 << 20),
        ("preset:default", 128 << 20),
    ] {
        let peak = peak_of_run(preset, distance_bytes, PAGES + 300_000);
        assert!(peak < LIMIT_KIB, "{preset}, {distance_bytes}: {peak} KiB");
    }
}
