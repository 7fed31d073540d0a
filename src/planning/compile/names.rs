//! Names in job and policy that only a catalog can vouch for: all of them, through one list.
//!
//! Some are errors, because a plan would not mean what its author meant; the rest are warnings,
//! because a job or a policy may be used with several catalogs.

use crate::catalog::Catalog;
use crate::model::{AcceleratorNeed, Job, Needs, Pattern, Place, Policy, Work};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Which of the two files that people write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InputFile {
    /// The name is in the job.
    Job,
    /// The name is in the policy.
    Policy,
}

/// A name or a pattern that matches nothing in the catalog.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnknownName {
    /// The file that the name is written in.
    pub file: InputFile,
    /// Dotted key, as in the spans of a file: `operators.deny.Amazn*`.
    pub key: String,
    /// What is wrong, with the name; lower case, no full stop.
    pub message: String,
    /// The nearest name that the catalog has, as a question.
    pub hint: Option<String>,
    /// Nothing can be planned with it.
    pub is_error: bool,
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, "; {hint}"))
    }
}

/// Every name and pattern of the job and the policy that matches nothing in the catalog: errors
/// first, then those of the job, then those of the policy, by key.
pub fn unknown_names(job: &Job, policy: &Policy, catalog: &Catalog) -> Vec<UnknownName> {
    let known = Known::of(catalog);
    let mut found = Vec::new();
    job_names(job, &known, &mut found);
    policy_names(policy, &known, &mut found);
    // What is said once is enough, also where two lines have the same name.
    let mut said: BTreeSet<String> = BTreeSet::new();
    found.retain(|name| said.insert(name.message.clone()));
    found.sort_by_key(|name| !name.is_error);
    found
}

/// `did you mean …?` for the place of the catalog most like `name`, if one is close.
pub fn nearest_place(name: &str, catalog: &Catalog) -> Option<String> {
    Known::of(catalog).nearest_place(name)
}

/// `did you mean …?` for the cloud of the catalog most like `name`, if one is close.
pub fn nearest_cloud(name: &str, catalog: &Catalog) -> Option<String> {
    nearest(name, Known::of(catalog).clouds.iter().copied())
}

/// What a catalog has names for.
struct Known<'a> {
    catalog: &'a Catalog,
    clouds: BTreeSet<&'a str>,
    places: BTreeSet<String>,
    /// Operators and their ultimate parents.
    operators: BTreeSet<&'a str>,
    schemes: BTreeSet<&'a str>,
    classes: BTreeSet<&'a str>,
    countries: BTreeSet<&'a str>,
    parent_countries: BTreeSet<&'a str>,
    services: BTreeSet<&'a str>,
}

impl<'a> Known<'a> {
    fn of(catalog: &'a Catalog) -> Self {
        let places = &catalog.places;
        let mut operators: BTreeSet<&str> = places
            .iter()
            .flat_map(|place| [place.operator.as_str(), place.parent.as_str()])
            .collect();
        operators.remove("");
        Self {
            catalog,
            clouds: places
                .iter()
                .map(|place| place.name.cloud.as_str())
                .collect(),
            places: places.iter().map(|place| place.name.to_string()).collect(),
            operators,
            schemes: catalog.schemes.iter().map(String::as_str).collect(),
            classes: places.iter().map(Place::partition).collect(),
            countries: places
                .iter()
                .filter_map(|place| place.country.as_deref())
                .collect(),
            parent_countries: places
                .iter()
                .filter_map(|place| place.parent_country.as_deref())
                .collect(),
            services: catalog
                .machines
                .iter()
                .filter_map(|machine| Some(machine.service.as_ref()?.name.as_str()))
                .collect(),
        }
    }

    fn is_cloud(&self, pattern: &Pattern) -> bool {
        self.clouds.iter().any(|cloud| pattern.matches(cloud))
    }

    fn is_place(&self, pattern: &Pattern) -> bool {
        self.places.iter().any(|place| pattern.matches(place))
    }

    /// Cloud and region are compared apart: no region of another cloud is meant.
    fn nearest_place(&self, name: &str) -> Option<String> {
        let (cloud, region) = name.split_once(':')?;
        if !self.is_cloud(&Pattern(cloud.to_owned())) {
            let meant = nearest_name(cloud, self.clouds.iter().copied())?;
            return Some(format!("did you mean `{meant}:{region}`?"));
        }
        let inside = format!("{cloud}:");
        let regions = self
            .places
            .iter()
            .filter_map(|place| place.strip_prefix(&inside));
        Some(format!(
            "did you mean `{cloud}:{}`?",
            nearest_name(region, regions)?
        ))
    }

    fn nearest_accelerator(&self, name: &str) -> Option<String> {
        nearest(name, self.catalog.accelerators.keys().map(String::as_str))
    }

    fn nearest_machine(&self, name: &str) -> Option<String> {
        nearest(
            name,
            self.catalog
                .machines
                .iter()
                .map(|machine| machine.instance_type.as_str()),
        )
    }

    /// Of the patterns that stages have for instance types those that match none; each is looked
    /// up once, however many stages share it.
    fn without_machine<'j>(&self, job: &'j Job) -> BTreeSet<&'j Pattern> {
        let sets = job
            .stages
            .values()
            .flat_map(|stage| std::iter::once(&stage.needs).chain(&stage.needs.any_of));
        let mut patterns: BTreeSet<&Pattern> =
            sets.flat_map(|needs| &needs.instance_types).collect();
        let machines = &self.catalog.machines;
        patterns.retain(|pattern| {
            !machines
                .iter()
                .any(|machine| pattern.matches(&machine.instance_type))
        });
        patterns
    }
}

/// `did you mean …?` for the known name most like `name`, if one is close.
fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<String> {
    nearest_name(name, known).map(|known| format!("did you mean `{known}`?"))
}

/// The known name most like `name`, if one is close. Wildcards do not count.
fn nearest_name<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let lower = name.to_lowercase();
    let plain = lower.replace('*', "");
    if plain.is_empty() {
        return None;
    }
    // A pattern such as `Amazn*` is compared with as much of each name as it has itself.
    let compared = |known: &str| match lower.ends_with('*') {
        true => known
            .to_lowercase()
            .chars()
            .take(plain.chars().count() + 1)
            .collect(),
        false => known.to_lowercase(),
    };
    let known_names: Vec<&str> = known.collect();
    let scored = known_names
        .iter()
        .map(|known| (strsim::jaro_winkler(&plain, &compared(known)), *known));
    let (score, known) = scored.max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))?;
    if score > 0.8 {
        return Some(known);
    }
    // Of short names, one slip of the finger: `gpc` for `gcp`.
    let one_slip = |known: &&&str| strsim::damerau_levenshtein(&plain, &compared(known)) == 1;
    known_names.iter().filter(one_slip).copied().min()
}

/// The names that there are, where none of them is like the one that was written; none: there are
/// none.
fn listed(what: &str, known: &BTreeSet<&str>) -> Option<String> {
    const SHOWN: usize = 12;
    let names: Vec<&str> = known.iter().copied().take(SHOWN).collect();
    let more = match known.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!names.is_empty()).then(|| format!("the catalog {what} {}{more}", names.join(", ")))
}

fn warning(file: InputFile, key: String, message: String, hint: Option<String>) -> UnknownName {
    UnknownName {
        file,
        key,
        message,
        hint,
        is_error: false,
    }
}

/// `TABLE.KEY `NAME` matches nothing in the catalog`.
fn matches_nothing(file: InputFile, key: &str, name: &str, hint: Option<String>) -> UnknownName {
    warning(
        file,
        format!("{key}.{name}"),
        format!("{key} `{name}` matches nothing in the catalog"),
        hint,
    )
}

fn policy_names(policy: &Policy, known: &Known<'_>, found: &mut Vec<UnknownName>) {
    let lists = |table: &str, allowance: &crate::model::Allowance| -> Vec<(String, Pattern)> {
        let allowed = allowance
            .allow
            .iter()
            .flatten()
            .map(|pattern| (format!("{table}.allow"), pattern.clone()));
        allowed
            .chain(
                allowance
                    .deny
                    .iter()
                    .map(|pattern| (format!("{table}.deny"), pattern.clone())),
            )
            .collect()
    };
    let file = InputFile::Policy;
    for (key, pattern) in lists("clouds", &policy.clouds)
        .into_iter()
        .filter(|(_, pattern)| !known.is_cloud(pattern))
    {
        found.push(matches_nothing(
            file,
            &key,
            &pattern.0,
            nearest(&pattern.0, known.clouds.iter().copied()),
        ));
    }
    for (key, pattern) in lists("places", &policy.places)
        .into_iter()
        .filter(|(_, pattern)| !known.is_place(pattern))
    {
        found.push(matches_nothing(
            file,
            &key,
            &pattern.0,
            known.nearest_place(&pattern.0),
        ));
    }
    let operates = |pattern: &Pattern| known.operators.iter().any(|name| pattern.matches(name));
    for (key, pattern) in lists("operators", &policy.operators)
        .into_iter()
        .filter(|(_, pattern)| !operates(pattern))
    {
        found.push(matches_nothing(
            file,
            &key,
            &pattern.0,
            nearest(&pattern.0, known.operators.iter().copied()),
        ));
    }
    if let Some(parents) = &policy.parents
        && !parents
            .iter()
            .any(|country| known.parent_countries.contains(country.as_str()))
    {
        let message = "operators.parents: the catalog has no operator whose ultimate parent is of these countries";
        found.push(warning(
            file,
            "operators.parents".to_owned(),
            message.to_owned(),
            listed("has", &known.parent_countries),
        ));
    }
    for (label, countries) in &policy.residency {
        if !countries
            .iter()
            .any(|country| known.countries.contains(country.as_str()))
        {
            let message = format!("residency.{label}: the catalog has no place in these countries");
            let hint = listed("has places in", &known.countries);
            found.push(warning(file, format!("residency.{label}"), message, hint));
        }
    }
    for class in policy
        .partitions
        .iter()
        .filter(|class| !known.classes.contains(class.as_str()))
    {
        let classes: BTreeSet<&str> = known
            .classes
            .iter()
            .copied()
            .filter(|class| !class.is_empty())
            .collect();
        let hint = nearest(class, classes.iter().copied()).or_else(|| listed("has", &classes));
        found.push(matches_nothing(file, "partitions.allow", class, hint));
    }
    certification_names(policy, known, found);
    account_names(policy, known, found);
}

/// A scheme that the catalog has never heard of may be mistyped: no place could satisfy it, and a
/// plan that fails for it would blame every place.
fn certification_names(policy: &Policy, known: &Known<'_>, found: &mut Vec<UnknownName>) {
    for (label, schemes) in &policy.certifications {
        for scheme in schemes
            .iter()
            .filter(|scheme| !known.schemes.contains(scheme.as_str()))
        {
            found.push(UnknownName {
                is_error: true,
                ..warning(
                    InputFile::Policy,
                    format!("certifications.{label}"),
                    format!("the catalog has no certification scheme `{scheme}`"),
                    nearest(scheme, known.schemes.iter().copied())
                        .or_else(|| listed("knows", &known.schemes)),
                )
            });
        }
    }
}

fn account_names(policy: &Policy, known: &Known<'_>, found: &mut Vec<UnknownName>) {
    let file = InputFile::Policy;
    for cloud in policy
        .accounts
        .keys()
        .filter(|cloud| !known.clouds.contains(cloud.as_str()))
    {
        let message = format!("accounts: the catalog has no cloud `{cloud}`");
        let hint = nearest(cloud, known.clouds.iter().copied());
        found.push(warning(file, format!("accounts.{cloud}"), message, hint));
    }
    for (pattern, quota) in &policy.quotas {
        let of_places = pattern.0.contains(':');
        if !(if of_places {
            known.is_place(pattern)
        } else {
            known.is_cloud(pattern)
        }) {
            let hint = match of_places {
                true => known.nearest_place(&pattern.0),
                false => nearest(&pattern.0, known.clouds.iter().copied()),
            };
            let message = format!("quotas: `{pattern}` matches nothing in the catalog");
            found.push(warning(file, format!("quotas.{pattern}"), message, hint));
        }
        let unknown = quota
            .by_accelerator
            .keys()
            .filter(|name| known.catalog.accelerator_name(name).is_none());
        for name in unknown {
            let message = format!("quotas of `{pattern}`: the catalog has no accelerator `{name}`");
            let key = format!("quotas.{pattern}.accelerators.{name}");
            found.push(warning(file, key, message, known.nearest_accelerator(name)));
        }
    }
    for (index, link) in policy.links.iter().enumerate() {
        for (end, pattern) in [("from", &link.from), ("to", &link.to)] {
            if !known.is_place(pattern) {
                let message = format!("links: `{pattern}` matches nothing in the catalog");
                found.push(warning(
                    file,
                    format!("links.{index}.{end}"),
                    message,
                    known.nearest_place(&pattern.0),
                ));
            }
        }
    }
}

fn job_names(job: &Job, known: &Known<'_>, found: &mut Vec<UnknownName>) {
    let catalog = known.catalog;
    let error = |key: String, message: String, hint: Option<String>| UnknownName {
        is_error: true,
        ..warning(InputFile::Job, key, message, hint)
    };
    for (name, dataset) in job
        .datasets
        .iter()
        .filter(|(_, dataset)| catalog.place_id(&dataset.at).is_none())
    {
        let at = dataset.at.to_string();
        let message = format!("the catalog has no place `{at}`");
        found.push(error(
            format!("datasets.{name}.at"),
            message,
            known.nearest_place(&at),
        ));
    }
    for (artifact, made) in job
        .made
        .iter()
        .filter(|(_, made)| catalog.place_id(&made.at).is_none())
    {
        let message = format!(
            "`{artifact}` was made at {}, a place that the catalog does not have",
            made.at
        );
        found.push(error(
            String::new(),
            message,
            Some("plan with the catalog of the first plan".to_owned()),
        ));
    }
    let without_machine = known.without_machine(job);
    for (name, stage) in &job.stages {
        // One known alternative is enough: a job may be planned on small catalogs too.
        let whole: Vec<&Needs> = match stage.needs.any_of.is_empty() {
            true => vec![&stage.needs],
            false => stage.needs.any_of.iter().collect(),
        };
        let unknown = |need: &AcceleratorNeed| catalog.accelerator_name(&need.name).is_none();
        let none_known = |needs: &Needs| {
            !needs.accelerators.is_empty() && needs.accelerators.iter().all(unknown)
        };
        let first = whole.iter().find_map(|needs| needs.accelerators.first());
        if let Some(need) = first.filter(|_| whole.iter().all(|needs| none_known(needs))) {
            let message = format!("the catalog has no accelerator `{}`", need.name);
            let hint = known.nearest_accelerator(&need.name);
            found.push(error(
                format!("stages.{name}.needs.accelerators"),
                message,
                hint,
            ));
        } else {
            accelerator_names(name, stage, known, found);
        }
        // A set without a service may be met by machines.
        let offered = |service: &str| known.services.contains(service);
        let served = |needs: &&Needs| {
            needs
                .service
                .as_ref()
                .is_none_or(|need| offered(&need.name))
        };
        let first = whole.iter().find_map(|needs| needs.service.as_ref());
        if let Some(need) = first.filter(|_| !whole.iter().any(served)) {
            let message = format!("the catalog has no service `{}`", need.name);
            found.push(error(
                format!("stages.{name}.needs.service"),
                message,
                service_hint(&need.name, known),
            ));
        }
        place_names(name, &stage.needs, &without_machine, known, found);
    }
}

fn service_hint(name: &str, known: &Known<'_>) -> Option<String> {
    let list = known
        .services
        .iter()
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    Some(match list.is_empty() {
        true => "this catalog has no services; `sky catalog register` brings some".to_owned(),
        false => nearest(name, known.services.iter().copied())
            .unwrap_or_else(|| format!("it has {list}")),
    })
}

/// The needs of a stage, and its alternatives, each with the key of the table that it is in.
fn sets<'n>(stage: &str, needs: &'n Needs) -> Vec<(String, &'n Needs)> {
    let table = if needs.ordered { "ordered" } else { "any_of" };
    let whole = std::iter::once((format!("stages.{stage}.needs"), needs));
    let alternatives = needs.any_of.iter().enumerate();
    let alternatives =
        alternatives.map(|(index, set)| (format!("stages.{stage}.needs.{table}.{index}"), set));
    whole.chain(alternatives).collect()
}

/// Accelerators that a stage names as one of several, in its needs and in its durations.
fn accelerator_names(
    name: &str,
    stage: &crate::model::Stage,
    known: &Known<'_>,
    found: &mut Vec<UnknownName>,
) {
    let mut unknown: BTreeMap<&str, String> = BTreeMap::new();
    if let Work::DurationBy(times) = &stage.work {
        for need in times.keys() {
            unknown.insert(&need.name, format!("stages.{name}.duration"));
        }
    }
    for (key, needs) in sets(name, &stage.needs) {
        for need in &needs.accelerators {
            unknown.insert(&need.name, format!("{key}.accelerators"));
        }
    }
    unknown.retain(|accelerator, _| known.catalog.accelerator_name(accelerator).is_none());
    for (accelerator, key) in unknown {
        let message = format!("stage {name}: the catalog has no accelerator `{accelerator}`");
        found.push(warning(
            InputFile::Job,
            key,
            message,
            known.nearest_accelerator(accelerator),
        ));
    }
}

/// Places, instance types, services and countries that a stage names.
fn place_names(
    name: &str,
    needs: &Needs,
    without_machine: &BTreeSet<&Pattern>,
    known: &Known<'_>,
    found: &mut Vec<UnknownName>,
) {
    // What is common to several alternatives is in each of them, and is said once.
    let mut said: BTreeSet<String> = BTreeSet::new();
    let mut say = |key: String, message: String, hint: Option<String>| {
        if said.insert(message.clone()) {
            found.push(warning(InputFile::Job, key, message, hint));
        }
    };
    for (key, needs) in sets(name, needs) {
        for pattern in needs
            .places
            .iter()
            .filter(|pattern| !known.is_place(pattern))
        {
            let message =
                format!("stage {name}: places `{pattern}` matches nothing in the catalog");
            say(
                format!("{key}.places.{pattern}"),
                message,
                known.nearest_place(&pattern.0),
            );
        }
        for pattern in needs
            .instance_types
            .iter()
            .filter(|pattern| without_machine.contains(pattern))
        {
            let message =
                format!("stage {name}: instance_types `{pattern}` matches nothing in the catalog");
            say(
                format!("{key}.instance_types.{pattern}"),
                message,
                known.nearest_machine(&pattern.0),
            );
        }
        if let Some(latency) = needs
            .latency
            .as_ref()
            .filter(|latency| !known.countries.contains(latency.to.as_str()))
        {
            let message = format!(
                "stage {name}: the catalog has no place in `{}`, which latency is to",
                latency.to
            );
            let hint = listed("has places in", &known.countries);
            say(format!("{key}.latency"), message, hint);
        }
        let unserved = needs
            .service
            .as_ref()
            .filter(|need| !known.services.contains(need.name.as_str()));
        if let Some(need) = unserved.filter(|_| key.ends_with(|last: char| last.is_ascii_digit())) {
            let message = format!("stage {name}: the catalog has no service `{}`", need.name);
            say(
                format!("{key}.service"),
                message,
                service_hint(&need.name, known),
            );
        }
    }
}
