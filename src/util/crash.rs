//! Points at which a test can end this process, as a power cut would: between any two steps that
//! leave something behind. They do nothing in a release build.
//!
//! `SKY_CRASH_AT=N` kills the process (SIGKILL) at its Nth point; `SKY_CRASH_LOG=FILE` has a line
//! for every point that was passed.

#[cfg(debug_assertions)]
mod armed {
    use crate::util::{environment, variables};
    use std::io::Write;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static PASSED: AtomicU64 = AtomicU64::new(0);
    static ARMED: OnceLock<(Option<u64>, Option<std::fs::File>)> = OnceLock::new();

    pub(super) fn point(name: &str) {
        let (at, log) = ARMED.get_or_init(|| {
            let crash_point =
                environment::text(variables::SKY_CRASH_AT).and_then(|text| text.parse().ok());
            let log = environment::bytes(variables::SKY_CRASH_LOG);
            let open_log = |path| {
                std::fs::OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(path)
                    .ok()
            };
            (crash_point, log.and_then(open_log))
        });
        if at.is_none() && log.is_none() {
            return;
        }
        let points_passed = PASSED.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(mut log) = log.as_ref() {
            let _ = log.write_all(format!("{points_passed} {name}\n").as_bytes());
        }
        if *at == Some(points_passed) {
            let _ = rustix::process::kill_process(
                rustix::process::getpid(),
                rustix::process::Signal::KILL,
            );
            // It is delivered before this returns, or very soon after.
            std::thread::sleep(std::time::Duration::from_secs(60));
        }
    }
}

/// Passes a point.
pub fn point(name: &str) {
    #[cfg(debug_assertions)]
    armed::point(name);
    #[cfg(not(debug_assertions))]
    let _ = name;
}
