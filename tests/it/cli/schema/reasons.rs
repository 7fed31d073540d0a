//! What only a reader can know: why a file is refused that its schema allows. Each reason has the
//! parts of messages by which it is known.

/// A reason why no schema can say what the reader says.
pub(super) struct Reason {
    pub(super) name: &'static str,
    messages: &'static [&'static str],
}

pub(super) const REASONS: [Reason; 7] = [
    Reason {
        name: "a name refers to something else in the file",
        messages: &[
            "there is no dataset",
            "there is no stage",
            "` writes no `",
            "is a stage, not an artifact",
            "is a dataset, not a stage",
            "is a dataset, which has no parts",
            "is a dataset and a stage",
            "is a dataset: it stays where it is",
            "names no output of a stage",
            "matches no stage",
            "has a duration for",
            "has no duration on",
            "no host is at",
            "is in both `env` and `secrets`",
        ],
    },
    Reason {
        name: "what parts of a file say together",
        messages: &[
            "reads two artifacts named",
            "copies, and written by",
            "it is the same folder of the same machine as",
            "it is another machine than",
            "its type `",
            "is given twice",
            "has two durations for",
            "cannot be left after any one loss",
            "divided by `cost` is not between",
        ],
    },
    Reason {
        name: "stages wait for each other",
        messages: &["the stages wait for each other", "waits for itself"],
    },
    Reason {
        name: "sums and products are too large",
        messages: &[
            "add up to more than",
            "machines, which is more than",
            "replicas included, which is more than",
            "dependencies between its stages",
            "replicas is more than",
            "hosts and clusters, which is more than",
            "links, which is more than",
        ],
    },
    Reason {
        name: "how large a quantity is that is written as text",
        messages: &[
            "is larger than 1 EB",
            "is longer than 10 years",
            "is out of range",
            "is more than $1,000",
            "is more than a million",
            "has too many digits",
            "is less than 1 GFLOP",
            "has no usable count",
            "` is zero",
            "at nine decimals",
            "a minute at least",
            "a second at least",
            "write it like \"256 GiB\"",
            "write how many there are, such as 8",
        ],
    },
    Reason {
        name: "which days a month has",
        messages: &["is not a valid day"],
    },
    Reason {
        name: "TOML has types that JSON does not have",
        messages: &[
            "is a date, not ",
            "lists a date, not ",
            "is a decimal number, not a whole number",
            "is a decimal number, not a number or a table",
            "is a decimal number, not a list of exit codes",
            "lists something that is not an exit code",
            "floating point",
            "datetime",
        ],
    },
];

/// The reason why the schema says nothing of an error.
pub(super) fn reason(error: &str) -> Option<&'static Reason> {
    REASONS
        .iter()
        .find(|reason| reason.messages.iter().any(|part| error.contains(part)))
}
