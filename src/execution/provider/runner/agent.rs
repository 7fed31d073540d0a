//! The program that answers requests on a machine, for as long as a connection lasts.

/// The agent of a machine which runs the commands itself.
const OF_MACHINE: &str = concat!(
    include_str!("agent.sh"),
    include_str!("staging.sh"),
    include_str!("requests.sh")
);

/// What answers on a machine.
#[derive(Clone, Debug)]
pub(in crate::execution::provider) struct Agent {
    /// A program for `/bin/sh`.
    pub text: &'static str,
    /// What it is told first, after the root.
    pub settings: Vec<String>,
}

impl Agent {
    /// The agent of a machine which runs the commands itself.
    pub(super) fn of_machine() -> Self {
        Self {
            text: OF_MACHINE,
            settings: Vec::new(),
        }
    }

    /// Whether this agent answers requests about buckets.
    pub(super) fn knows_buckets(&self) -> bool {
        self.text == OF_MACHINE
    }
}
