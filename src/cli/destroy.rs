//! `sky destroy`: deletes what applies have made.
