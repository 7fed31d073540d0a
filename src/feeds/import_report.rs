//! What an import did: rows taken and left out, by why.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// What was assumed because nothing else was said: one sentence each.
    pub notes: Vec<String>,
    /// Rows taken, by what they are.
    pub taken: BTreeMap<String, usize>,
    /// Rows left out, by why; reasons begin with what they are about, mostly a cloud.
    pub left_out: BTreeMap<String, LeftOut>,
    /// Files whose text is new or changed.
    pub changed: Vec<String>,
}

/// Rows left out for one reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// How many rows were left out.
    pub rows: usize,
    /// How many of the rows are about which region or accelerator; empty if the reason says it all.
    pub about: BTreeMap<String, usize>,
}

/// The number of names that are written out; of more, only their number is told.
const MOST_NAMES: usize = 6;

impl ImportReport {
    /// Adds a sentence about what was assumed, unless it is there already.
    pub(crate) fn note(&mut self, text: String) {
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    /// Notes that a machine of the catalog was not as its vendor says, and is so now.
    pub(crate) fn correct(&mut self, cloud: &str, instance_type: &str) {
        self.note(format!(
            "{cloud}: {instance_type} is corrected to the size and cards that its vendor says."
        ));
    }

    /// Counts a row that was taken.
    pub(crate) fn take(&mut self, row_kind: impl Into<String>) {
        *self.taken.entry(row_kind.into()).or_default() += 1;
    }

    /// Counts a row that was left out.
    pub(crate) fn leave(&mut self, why: impl Into<String>) {
        self.left_out.entry(why.into()).or_default().rows += 1;
    }

    /// Counts a row that was left out because of a name in it, which the reason does not have.
    pub(crate) fn leave_of(&mut self, why: impl Into<String>, name: &str) {
        let left_rows = self.left_out.entry(why.into()).or_default();
        left_rows.rows += 1;
        *left_rows.about.entry(name.to_owned()).or_default() += 1;
    }

    /// Adds the rows that another report left out.
    pub fn add_left_out(&mut self, other: &ImportReport) {
        for (why, left) in &other.left_out {
            let left_rows = self.left_out.entry(why.clone()).or_default();
            left_rows.rows += left.rows;
            for (name, rows) in &left.about {
                *left_rows.about.entry(name.clone()).or_default() += rows;
            }
        }
    }

    /// Why most rows of the source were left out, for people.
    pub(crate) fn most_left_out(&self) -> Option<String> {
        let most_rows = self.left_out.values().map(|left| left.rows).max();
        match self
            .reasons()
            .into_iter()
            .find(|(rows, _)| Some(*rows) == most_rows)?
        {
            (1, why) => Some(format!("left out: {why}")),
            (rows, why) => Some(format!("left out, {rows} times: {why}")),
        }
    }

    /// A line per reason with its rows, by what it is about, the most rows first.
    pub fn reasons(&self) -> Vec<(usize, String)> {
        let subject_of = |why: &str| why.split(':').next().unwrap_or_default().to_owned();
        let mut reasons: Vec<(&String, &LeftOut)> = self.left_out.iter().collect();
        reasons.sort_by_key(|(why, left)| {
            (subject_of(why), std::cmp::Reverse(left.rows), why.as_str())
        });
        reasons
            .into_iter()
            .map(|(why, left)| (left.rows, format!("{why}{}", left.names())))
            .collect()
    }
}

impl LeftOut {
    /// ` (a, b and 3 more)`, the most frequent first.
    fn names(&self) -> String {
        let mut names: Vec<(&String, usize)> = self
            .about
            .iter()
            .map(|(name, rows)| (name, *rows))
            .collect();
        names.sort_by_key(|(name, rows)| (std::cmp::Reverse(*rows), name.as_str()));
        // One name more takes no more room than saying that there is one.
        let shown_names = if names.len() == MOST_NAMES + 1 {
            MOST_NAMES + 1
        } else {
            MOST_NAMES.min(names.len())
        };
        let listed_names: Vec<&str> = names[..shown_names]
            .iter()
            .map(|(name, _)| {
                if name.is_empty() {
                    "none given"
                } else {
                    name.as_str()
                }
            })
            .collect();
        match names.len() - shown_names {
            _ if names.is_empty() => String::new(),
            0 => format!(" ({})", listed_names.join(", ")),
            more => format!(" ({} and {more} more)", listed_names.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_per_cloud_and_reason() {
        let mut report = ImportReport::default();
        report.leave("b: no price");
        for region in ["r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r8", ""] {
            report.leave_of("a: unknown region", region);
        }
        report.leave("a: a price of 0");
        let lines: Vec<String> = report
            .reasons()
            .iter()
            .map(|(rows, why)| format!("{rows} {why}"))
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        10 a: unknown region (r8, none given, r1, r2, r3, r4 and 3 more)
        1 a: a price of 0
        1 b: no price
        ");
    }
}
