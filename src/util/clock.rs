//! The only place that reads the clock: this machine's, or in a simulation that of the simulated
//! one.

use super::simulation;

/// Now, as an RFC 3339 timestamp in UTC.
pub fn timestamp() -> String {
    format!("{:.3}", now())
}

/// Returns the present moment.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the clock"
)]
pub fn now() -> jiff::Timestamp {
    simulation::now().unwrap_or_else(jiff::Timestamp::now)
}

/// Returns the present moment in the type of the standard library.
pub fn system_time() -> std::time::SystemTime {
    now().into()
}

/// Returns the moment that a file written now would get as its time: that of this machine's clock
/// also in a simulation, whose files are real ones.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the clock"
)]
pub fn file_system_time() -> std::time::SystemTime {
    std::time::SystemTime::now()
}

/// Today in UTC.
pub fn today() -> jiff::civil::Date {
    now().to_zoned(jiff::tz::TimeZone::UTC).date()
}

/// The moment that is `time` from now, as an RFC 3339 timestamp in UTC, to the second.
pub fn after(time: std::time::Duration) -> String {
    let time = jiff::SignedDuration::try_from(time).unwrap_or(jiff::SignedDuration::MAX);
    let end_time = now().saturating_add(time).unwrap_or(jiff::Timestamp::MAX);
    format!("{end_time:.0}")
}

/// The moment that is `time` from now, as an RFC 3339 timestamp in UTC, to the millisecond.
pub fn after_exactly(time: std::time::Duration) -> String {
    let time = jiff::SignedDuration::try_from(time).unwrap_or(jiff::SignedDuration::MAX);
    format!(
        "{:.3}",
        now().saturating_add(time).unwrap_or(jiff::Timestamp::MAX)
    )
}

/// The milliseconds from one RFC 3339 timestamp to another; 0 if they are in another order, as
/// after a clock was set back, or one is no timestamp: a state with such a one is not read.
pub fn between(from: &str, to: &str) -> u64 {
    let read_time = |text: &str| {
        text.parse::<jiff::Timestamp>()
            .ok()
            .map(|time| time.as_millisecond())
    };
    match (read_time(from), read_time(to)) {
        (Some(from), Some(to)) => u64::try_from(to - from).unwrap_or(0),
        _ => 0,
    }
}

/// How long this machine has been up: a clock that nobody sets. The error says that this system
/// does not tell it.
pub fn uptime() -> std::io::Result<std::time::Duration> {
    if let Some(simulated) = simulation::uptime() {
        return Ok(simulated);
    }
    let text = std::fs::read_to_string("/proc/uptime")?;
    let seconds = text.split('.').next().and_then(|whole| whole.parse().ok());
    seconds
        .map(std::time::Duration::from_secs)
        .ok_or_else(|| std::io::Error::other("/proc/uptime does not begin with a number"))
}
