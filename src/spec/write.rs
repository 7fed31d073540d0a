//! A job as a job file: [`job::parse`](super::job::parse) reads it back to the same job.

use crate::model::{
    Allocation, Bytes, Destination, Domain, Job, Needs, Rate, Retries, Spread, Stage, Work,
};
use std::fmt::Display;

/// The job file. Equal jobs give equal bytes.
///
/// Only what `job::parse` can read comes back as it was: valid names, sizes and times in range.
pub fn job(job: &Job) -> String {
    let mut text = key_line("name", &quoted_text(&job.name));
    for (name, dataset) in &job.datasets {
        text.push_str(&format!("\n[datasets.{}]\n", toml_key(name)));
        text.push_str(&key_line("at", &quoted_text(dataset.at.to_string())));
        text.extend(
            dataset
                .path
                .as_ref()
                .map(|path| key_line("path", &quoted_text(path))),
        );
        text.push_str(&key_line("size", &size_text(dataset.size)));
        text.push_str(&list_line("labels", &dataset.labels));
    }
    for (name, body) in &job.stages {
        text.push_str(&format!(
            "\n[stages.{}]\n{}",
            toml_key(name),
            stage_table(body)
        ));
    }
    for group in &job.spread {
        text.push_str(&format!("\n[[spread]]\n{}", spread_table(group)));
    }
    if !job.outputs.is_empty() {
        text.push_str("\n[outputs]\n");
        let destinations = job.outputs.iter().map(|(output, to)| {
            key_line(&toml_key(&output.to_string()), &quoted_text(goes_to(*to)))
        });
        text.extend(destinations);
    }
    text
}

/// The word of a destination in job files.
fn goes_to(destination: Destination) -> &'static str {
    match destination {
        Destination::Home => "home",
        Destination::There => "there",
    }
}

fn stage_table(stage: &Stage) -> String {
    let mut text = list_line("reads", &stage.reads);
    let writes: Vec<(String, String)> = stage
        .writes
        .iter()
        .map(|(name, size)| (name.clone(), size_text(*size)))
        .collect();
    text.extend((!writes.is_empty()).then(|| key_line("writes", &inline_table(&writes))));
    text.push_str(&list_line("removes", &stage.removes));
    let needs = need_pairs(&stage.needs);
    text.extend((!needs.is_empty()).then(|| key_line("needs", &inline_table(&needs))));
    text.push_str(&work_line_of(&stage.work));
    let count_line =
        |name: &str, number: u32| (number != 1).then(|| key_line(name, &number.to_string()));
    text.extend(count_line("count", stage.count));
    text.extend(count_line("nodes", stage.nodes));
    text.extend(
        stage
            .deadline
            .map(|deadline| key_line("deadline", &quoted_text(deadline.exact()))),
    );
    text.extend(
        stage
            .allocation
            .map(|allocation| key_line("allocation", &quoted_text(allocation_word(allocation)))),
    );
    text.extend(
        stage
            .retries
            .as_ref()
            .map(|retries| key_line("retries", &self::retries_table(retries))),
    );
    if let Some(checkpoint) = &stage.checkpoint {
        let every_pair = checkpoint
            .every
            .map(|every| ("every".to_owned(), quoted_text(every.exact())));
        let other_pairs = [
            ("save".to_owned(), quoted_text(checkpoint.save.exact())),
            (
                "restart".to_owned(),
                quoted_text(checkpoint.restart.exact()),
            ),
            ("size".to_owned(), size_text(checkpoint.size)),
        ];
        let keys: Vec<(String, String)> = every_pair.into_iter().chain(other_pairs).collect();
        text.push_str(&key_line("checkpoint", &inline_table(&keys)));
    }
    if !stage.env.is_empty() {
        let variables: Vec<(String, String)> = stage
            .env
            .iter()
            .map(|(name, value)| (name.clone(), quoted_text(value)))
            .collect();
        text.push_str(&key_line("env", &inline_table(&variables)));
    }
    if !stage.secrets.is_empty() {
        let secrets: Vec<(String, String)> = stage
            .secrets
            .iter()
            .map(|(name, reference)| (name.clone(), quoted_text(reference)))
            .collect();
        text.push_str(&key_line("secrets", &inline_table(&secrets)));
    }
    text.push_str(&list_line("after", &stage.after));
    text.extend(
        stage
            .run
            .as_ref()
            .map(|run| key_line("run", &quoted_text(run))),
    );
    text.push_str(&list_line("files", &stage.files));
    text
}

fn need_pairs(needs: &Needs) -> Vec<(String, String)> {
    let mut keys: Vec<(&str, String)> = Vec::new();
    if needs.vcpu_thousandths > 0 {
        keys.push(("cpus", decimal_text(u128::from(needs.vcpu_thousandths), 3)));
    }
    if needs.memory.0 > 0 {
        keys.push(("memory", size_text(needs.memory)));
    }
    let lists = [
        ("accelerators", list_text(&needs.accelerators)),
        ("tee", list_text(&needs.tee)),
        ("arch", needs.arch.as_ref().map(quoted_text)),
        ("places", list_text(&needs.places)),
        ("instance_types", list_text(&needs.instance_types)),
    ];
    keys.extend(
        lists
            .into_iter()
            .filter_map(|(key, list)| Some((key, list?))),
    );
    if let Some(latency) = &needs.latency {
        let to_pair = ("to".to_owned(), quoted_text(&latency.to));
        keys.push((
            "latency",
            inline_table(&[
                to_pair,
                ("at_most".to_owned(), quoted_text(latency.at_most.exact())),
            ]),
        ));
    }
    keys.extend(
        needs
            .max_price
            .map(|rate| ("max_price", quoted_text(dollar_text(rate)))),
    );
    let mut keys: Vec<(String, String)> = keys
        .into_iter()
        .map(|(key, text)| (key.to_owned(), text))
        .collect();
    if !needs.any_of.is_empty() {
        // An alternative says what it does not take from the common part.
        let own_keys = |one: &Needs| {
            let own_keys = self::need_pairs(one)
                .into_iter()
                .filter(|key| !keys.contains(key));
            inline_table(&own_keys.collect::<Vec<_>>())
        };
        let all_alternatives: Vec<String> = needs.any_of.iter().map(own_keys).collect();
        keys.push((
            (if needs.ordered { "ordered" } else { "any_of" }).to_owned(),
            format!("[{}]", all_alternatives.join(", ")),
        ));
    }
    keys
}

fn retries_table(retries: &Retries) -> String {
    let times = ("times".to_owned(), retries.times.to_string());
    let codes: Vec<String> = retries.on.iter().map(ToString::to_string).collect();
    let on = (!codes.is_empty()).then(|| ("on".to_owned(), format!("[{}]", codes.join(", "))));
    inline_table(&[times].into_iter().chain(on).collect::<Vec<_>>())
}

/// A price in US dollars. A negative one keeps its sign, so that whoever reads it refuses it.
fn dollar_text(rate: Rate) -> String {
    let sign = if rate.0 < 0 { "-" } else { "" };
    format!(
        "${sign}{}",
        decimal_text(u128::from(rate.0.unsigned_abs()), 9)
    )
}

fn work_line_of(work: &Work) -> String {
    let work_line =
        |key: &str, value: String| key_line("work", &inline_table(&[(key.to_owned(), value)]));
    match work {
        Work::Duration(time) => key_line("duration", &quoted_text(time.exact())),
        Work::DurationBy(times) => {
            let times: Vec<(String, String)> = times
                .iter()
                .map(|(need, time)| (need.to_string(), quoted_text(time.exact())))
                .collect();
            key_line("duration", &inline_table(&times))
        }
        Work::VcpuTime(time) => work_line("vcpu", quoted_text(time.exact())),
        Work::Flops {
            precision,
            gigaflop,
            efficiency_percent,
        } => {
            let amount = (precision.clone(), quoted_text(format!("{gigaflop} GFLOP")));
            key_line(
                "work",
                &inline_table(&[
                    amount,
                    (
                        "efficiency".to_owned(),
                        quoted_text(format!("{efficiency_percent} %")),
                    ),
                ]),
            )
        }
    }
}

fn spread_table(spread: &Spread) -> String {
    let domain_word = match spread.over {
        Domain::Place => "place",
        Domain::Cloud => "cloud",
    };
    let at_most = key_line("at_most", &spread.at_most.to_string());
    format!(
        "{}{}{at_most}",
        list_line("stages", &spread.stages),
        key_line("over", &quoted_text(domain_word))
    )
}

/// The word of an allocation in job and policy files.
pub(super) fn allocation_word(allocation: Allocation) -> &'static str {
    match allocation {
        Allocation::OnDemand => "on-demand",
        Allocation::Spot => "spot",
        Allocation::SpotIfAvailable => "spot-if-available",
        Allocation::Cheapest => "cheapest",
    }
}

fn key_line(key: &str, value: &str) -> String {
    format!("{key} = {value}\n")
}

/// A line for a list that is not empty.
fn list_line<'t, T: Display + 't>(key: &str, items: impl IntoIterator<Item = &'t T>) -> String {
    list_text(items)
        .map(|items| key_line(key, &items))
        .unwrap_or_default()
}

/// A list, if it is not empty.
fn list_text<'t, T: Display + 't>(items: impl IntoIterator<Item = &'t T>) -> Option<String> {
    let items: Vec<String> = items
        .into_iter()
        .map(|item| quoted_text(item.to_string()))
        .collect();
    (!items.is_empty()).then(|| format!("[{}]", items.join(", ")))
}

fn inline_table(keys: &[(String, String)]) -> String {
    let keys: Vec<String> = keys
        .iter()
        .map(|(name, value)| format!("{} = {value}", toml_key(name)))
        .collect();
    if keys.is_empty() {
        "{}".to_owned()
    } else {
        format!("{{ {} }}", keys.join(", "))
    }
}

/// A text with the quotes and escapes that it needs.
fn quoted_text(text: impl Into<String>) -> String {
    toml::Value::String(text.into()).to_string()
}

/// A key, in quotes where it needs them. No key that is written here holds a line break.
fn toml_key(name: &str) -> String {
    let bare = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare {
        name.to_owned()
    } else {
        quoted_text(name)
    }
}

/// A size with every digit, in the largest unit that it fills; powers of 1024 where these are
/// the rounder numbers.
fn size_text(size: Bytes) -> String {
    for (unit, power) in [("GiB", 30), ("MiB", 20)] {
        let unit_bytes = 1_u64 << power;
        if size.0 > 0 && size.0.is_multiple_of(unit_bytes) && !size.0.is_multiple_of(1_000_000) {
            return quoted_text(format!("{} {unit}", size.0 / unit_bytes));
        }
    }
    const UNITS: [(&str, u32); 6] = [
        ("PB", 15),
        ("TB", 12),
        ("GB", 9),
        ("MB", 6),
        ("kB", 3),
        ("B", 0),
    ];
    let fills = |unit: &&(&str, u32)| size.0 >= 10_u64.pow(unit.1);
    let (unit, places) = UNITS.iter().find(fills).unwrap_or(&("B", 0));
    quoted_text(format!(
        "{} {unit}",
        decimal_text(u128::from(size.0), *places)
    ))
}

/// `digits / 10^places` without trailing zeros.
fn decimal_text(digits: u128, places: u32) -> String {
    let unit = 10_u128.pow(places);
    let (whole, rest) = (digits / unit, digits % unit);
    match rest {
        0 => whole.to_string(),
        rest => {
            let fraction_digits = format!("{rest:0width$}", width = places as usize);
            format!("{whole}.{}", fraction_digits.trim_end_matches('0'))
        }
    }
}
