//! What a policy says of one's accounts: `[accounts]`, `[quotas]`, `[[links]]`, `[storage]`.

use crate::model::policy::{Account, Link, Quota};
use crate::model::{Pattern, Policy};
use crate::spec::limits::MOST_LINKS;
use crate::spec::needs::cpus;
use crate::spec::table::{Entry, Findings, Item, Section, shown};
use crate::spec::{Diagnostic, value};
use std::collections::BTreeSet;
use std::ops::Range;
use toml::de::DeValue;

/// Most machines or cards of a quota.
pub(super) const MOST: u64 = 1_000_000_000;

/// Reads these tables into `policy`.
pub(super) fn read(document: &mut Section<'_, '_>, policy: &mut Policy, findings: &mut Findings) {
    if let Some(accounts) = document.take_table("accounts", findings) {
        for entry in accounts.entries(findings) {
            cloud_key(&entry, findings);
            if let Some(account) = read_account(&entry, findings) {
                policy.accounts.insert(entry.key.to_owned(), account);
            }
        }
    }
    if let Some(quotas) = document.take_table("quotas", findings) {
        for entry in quotas.entries(findings) {
            place_key(&entry, findings);
            if let Some(quota) = read_quota(&entry, findings) {
                policy.quotas.insert(Pattern(entry.key.to_owned()), quota);
            }
        }
    }
    if let Some(entry) = document.take("links", findings) {
        let example =
            "`[[links]]` with `from = \"aws:us-*\"`, `to = \"gcp:us-*\"`, `per_gb = \"$0\"`";
        let span = entry.span.clone();
        let sections = entry.sections(example, findings);
        if sections.len() > MOST_LINKS {
            let message = format!(
                "the policy has {} links, which is more than {MOST_LINKS}",
                sections.len()
            );
            let hint = "let one link stand for many pairs of places by patterns such as `aws:us-*`";
            findings.push(
                Diagnostic::error(span, message)
                    .with_label("too many")
                    .with_hint(hint),
            );
        }
        let mut links = Vec::new();
        for section in sections.into_iter().take(MOST_LINKS) {
            read_link(section, &mut links, findings);
        }
        never_counted(&links, findings);
        policy.links = links.into_iter().map(|(link, _)| link).collect();
    }
    if let Some(mut storage) = document.take_table("storage", findings) {
        policy.keep = storage
            .take("keep", findings)
            .and_then(|entry| value::time(&entry, findings));
        storage.finish(findings);
    }
}

/// A key that is the name of one cloud.
fn cloud_key(entry: &Entry<'_, '_>, findings: &mut Findings) {
    if value::plain_pattern(entry.key) && !entry.key.contains('*') {
        return value::lower_case_cloud(entry.key, &entry.key_span, findings);
    }
    let message = format!("`{}` is not the name of a cloud", shown(entry.key));
    let hint = "an account is with one cloud: `[accounts.aws]`";
    findings.push(
        Diagnostic::error(entry.key_span.clone(), message)
            .with_label("not a name")
            .with_hint(hint),
    );
}

fn read_account(entry: &Entry<'_, '_>, findings: &mut Findings) -> Option<Account> {
    let mut section = entry.section(findings)?;
    let owner = format!("account `{}`", shown(entry.key));
    let used = section.require("used_this_month", &owner, "\"80 GB\"", findings);
    let used_this_month = used.and_then(|entry| value::bytes(&entry, findings));
    section.finish(findings);
    Some(Account { used_this_month })
}

/// A key that is a cloud, a place, or a pattern of places.
fn place_key(entry: &Entry<'_, '_>, findings: &mut Findings) {
    let whole_entry = || {
        vec![Item {
            text: entry.key,
            span: entry.key_span.clone(),
        }]
    };
    if entry.key.contains(':') {
        value::place_patterns(whole_entry(), findings);
    } else if entry.key.contains('*') {
        let message = format!(
            "`{}` is neither a cloud nor a pattern of places",
            shown(entry.key)
        );
        let hint = format!(
            "write `\"{}:*\"` for each place on its own, or one line for each cloud",
            shown(entry.key)
        );
        findings.push(
            Diagnostic::error(entry.key_span.clone(), message)
                .with_label("no `cloud:region`")
                .with_hint(hint),
        );
    } else {
        value::name_patterns("cloud", whole_entry(), findings);
    }
}

fn read_quota(entry: &Entry<'_, '_>, findings: &mut Findings) -> Option<Quota> {
    let mut section = entry.section(findings)?;
    let mut quota = Quota::default();
    let any_limit = ["cpus", "instances", "accelerators"]
        .into_iter()
        .any(|key| section.has(key));
    if let Some(entry) = section.take("cpus", findings) {
        quota.vcpu_thousandths = cpus(&entry, findings);
        nothing_runs(&entry, quota.vcpu_thousandths, findings);
    }
    if let Some(entry) = section.take("instances", findings) {
        quota.instances = value::whole(&entry, 0..=MOST, findings);
        nothing_runs(&entry, quota.instances, findings);
    }
    if let Some(entry) = section.take("accelerators", findings) {
        if let DeValue::Table(_) = entry.value {
            for card in entry.section(findings)?.entries(findings) {
                if card.key.is_empty() || card.key.chars().any(|c| c.is_whitespace() || c == ':') {
                    let message = format!("`{}` is not an accelerator", shown(card.key));
                    let hint = "write its name alone, such as `V100 = 8`";
                    findings.push(
                        Diagnostic::error(card.key_span.clone(), message)
                            .with_label("not a name")
                            .with_hint(hint),
                    );
                }
                if let Some(count) = value::whole(&card, 0..=MOST, findings) {
                    quota.by_accelerator.insert(card.key.to_owned(), count);
                }
            }
        } else {
            quota.accelerators = value::whole(&entry, 0..=MOST, findings);
        }
    }
    let unknown_keys = section.finish(findings);
    if !any_limit && unknown_keys.is_empty() {
        let message = format!("the quota of `{}` limits nothing", shown(entry.key));
        findings.push(
            Diagnostic::warning(entry.key_span.clone(), message)
                .with_label("binds nothing")
                .with_hint("add `cpus = 64`, `instances = 20` or `accelerators = 8`"),
        );
    }
    Some(quota)
}

/// A quota of no machine at all is a denial, which has a line of its own.
fn nothing_runs(entry: &Entry<'_, '_>, quota: Option<u64>, findings: &mut Findings) {
    if quota == Some(0) {
        let message = format!("with `{} = 0` no machine can run there", entry.key);
        let hint = "if that is meant, `deny` under `[clouds]` or `[places]` says it better";
        findings.push(
            Diagnostic::warning(entry.span.clone(), message)
                .with_label("the same as a denial")
                .with_hint(hint),
        );
    }
}

fn read_link(
    mut section: Section<'_, '_>,
    links: &mut Vec<(Link, Range<usize>)>,
    findings: &mut Findings,
) {
    let span = section.span.clone();
    let mut link_end = |key: &'static str, example: &str, findings: &mut Findings| {
        let end_entry = section.require(key, "this link", &format!("\"{example}\""), findings)?;
        let text = end_entry.text(example, findings)?;
        let patterns = value::place_patterns(
            vec![Item {
                text,
                span: end_entry.span.clone(),
            }],
            findings,
        );
        patterns.into_iter().next()
    };
    let from_end = link_end("from", "aws:us-east-1", findings);
    let to_end = link_end("to", "gcp:us-*", findings);
    let rate = section.require("per_gb", "this link", "\"$0\"", findings);
    let rate = rate.and_then(|entry| value::data_rate(&entry, findings));
    let both_directions = section
        .take("both", findings)
        .and_then(|entry| entry.boolean(findings))
        .unwrap_or(false);
    section.finish(findings);
    let (Some(from), Some(to), Some(rate)) = (from_end, to_end, rate) else {
        return;
    };
    let back = (both_directions && from != to).then(|| {
        (
            Link {
                from: to.clone(),
                to: from.clone(),
                rate,
            },
            span.clone(),
        )
    });
    links.push((Link { from, to, rate }, span));
    links.extend(back);
}

/// Links that a later one always replaces.
fn never_counted(links: &[(Link, Range<usize>)], findings: &mut Findings) {
    let mut later_pairs: BTreeSet<(&Pattern, &Pattern)> = BTreeSet::new();
    for (link, span) in links.iter().rev() {
        if !later_pairs.insert((&link.from, &link.to)) {
            let message = format!(
                "a later link replaces the one from `{}` to `{}`",
                link.from, link.to
            );
            let diagnostic = Diagnostic::warning(span.clone(), message).with_label("never counts");
            findings
                .push(diagnostic.with_hint("of several links that match a way, the last counts"));
        }
    }
}
