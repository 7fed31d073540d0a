//! The only place that reads the clock.

/// Now, as an RFC 3339 timestamp in UTC.
pub fn timestamp() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}
