//! The only place that reads the clock.

/// Now, as an RFC 3339 timestamp in UTC.
pub fn timestamp() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}

/// Now.
pub fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// Today in UTC.
pub fn today() -> jiff::civil::Date {
    now().to_zoned(jiff::tz::TimeZone::UTC).date()
}
