//! What a registration is told, and what it did.

use jiff::civil::Date;

/// What a registration is told.
#[derive(Clone, Debug)]
pub struct RegisterOptions {
    /// The file: a path, `file://` or `http(s)://`.
    pub location: String,
    /// The signature of the file; empty: the location with `.minisig` after it.
    pub signature: String,
    /// Public keys: their text, or files that hold them.
    pub keys: Vec<String>,
    /// Whether a file without a signature is taken.
    pub allow_unsigned: bool,
    /// Whether the file takes the place of one that was registered without a signature.
    pub replace: bool,
    /// The day of the registration.
    pub today: Date,
}

/// What a registration did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registration {
    /// The name of the cloud.
    pub cloud: String,
    /// Who the cloud is, for people.
    pub about: String,
    /// The key that signed the file; none: the file is not signed.
    pub key: Option<String>,
    /// The last day that the file holds, `YYYY-MM-DD`.
    pub valid_until: String,
    /// How many places were registered.
    pub places: usize,
    /// How many machine types were registered.
    pub machines: usize,
    /// How many prices of machines were registered.
    pub prices: usize,
    /// How many prices of services were registered.
    pub services: usize,
    /// Prices that do not hold on the day of the registration, and why.
    pub left_out: Vec<String>,
    /// Whether the file took the place of one that the same cloud had registered before.
    pub replaced: bool,
    /// Whether the folder is new: it starts as a copy of the shipped catalog.
    pub created: bool,
    /// Files whose text is new or changed.
    pub changed: Vec<String>,
}
