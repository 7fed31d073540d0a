//! The only place that reads the clock.

/// Today in UTC, `YYYY-MM-DD`.
pub fn today() -> String {
    jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date().to_string()
}

/// Now, as an RFC 3339 timestamp in UTC.
pub fn timestamp() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}
