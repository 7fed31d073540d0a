//! `sky check`: whether clouds and hosts would let a plan run, before anything is begun.

use super::state::StateArgs;
use super::{Exit, Failure, Terminal};
use crate::cli::working_folder::working_folder;
use crate::execution::apply::preflight;
use crate::execution::apply::staging::needed_buckets;
use crate::execution::provider::check::{Finding, Need, Topic, Verdict, in_time};
use crate::execution::provider::{self, Access};
use crate::execution::storage::Staging;
use crate::plan::file as plan_file;
use crate::render::table;
use crate::util::variables;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Check credentials, permissions, quotas and hosts before money is spent.
///
/// With a plan: at the clouds of its stages, for the machines that it wants and the data between
/// them. Without: at all that this machine has credentials or hosts for. Nothing is changed
/// anywhere, and nothing is rented. Exit code 1 if anything that was asked about is not ready.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct CheckArgs {
    /// Plan file that `sky plan --out` wrote, or job file (.toml) [default: job.toml]
    pub plan: Option<PathBuf>,
    /// Look only at this provider; can be given many times
    #[arg(long, value_name = "NAME")]
    pub provider: Vec<String>,
    /// How data will get from stage to stage, as for `sky apply`: `buckets`, `home` or file:///DIR
    /// [default: buckets]
    #[arg(long, value_name = "HOW", value_parser = Staging::parse, env = variables::SKY_STAGING.name)]
    pub staging: Option<Staging>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub state: StateArgs,
}

/// How a provider is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Ready,
    NotReady,
    /// The provider did not answer.
    Silent,
    /// Nothing on this machine speaks of it, and nobody asked about it.
    NotSetUp,
}

impl Status {
    fn words(self) -> &'static str {
        match self {
            Status::Ready => "ready",
            Status::NotReady => "not ready",
            Status::Silent => "does not answer",
            Status::NotSetUp => "not set up",
        }
    }

    fn of(findings: &[Finding]) -> Self {
        let silent = |finding: &Finding| {
            finding.verdict == Verdict::Unknown
                && matches!(finding.topic, Topic::Reach | Topic::Credentials)
        };
        match () {
            () if findings
                .iter()
                .any(|finding| finding.verdict == Verdict::Missing) =>
            {
                Status::NotReady
            }
            () if findings.iter().any(silent) => Status::Silent,
            () => Status::Ready,
        }
    }
}

/// What was seen of a provider.
struct Seen {
    name: String,
    status: Status,
    findings: Vec<Finding>,
}

/// Looks at all of them side by side, and tells.
pub(super) fn run(args: &CheckArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let working_dir = working_folder()?;
    let access = args.state.access(&working_dir);
    let plan = args
        .plan
        .as_ref()
        .map(|path| plan_file::read(path).map_err(Failure::error))
        .transpose()?;
    let needs = plan
        .as_ref()
        .map(preflight::needs_of_plan)
        .unwrap_or_default();
    let names = providers_to_check(args, &needs, &access)?;
    let mut seen_providers =
        super::runtime::runtime()?.block_on(look_at_providers(names, &needs, &access));
    let stores = plan
        .as_ref()
        .map(|plan| needed_buckets(plan, args.staging.as_ref().unwrap_or(&Staging::Buckets)));
    for (cloud, lacks) in stores.unwrap_or_default() {
        if let Some(seen) = seen_providers.iter_mut().find(|seen| seen.name == cloud) {
            seen.findings.push(match lacks {
                None => Finding::there(
                    Topic::Storage,
                    "object store",
                    "nothing is missing, as far as this machine knows",
                ),
                Some(said) => Finding {
                    topic: Topic::Storage,
                    about: "object store".into(),
                    verdict: Verdict::Missing,
                    said,
                },
            });
            seen.status = Status::of(&seen.findings);
        }
    }
    terminal.out(&if args.json {
        json_text(&seen_providers)
    } else {
        check_text(&seen_providers, terminal)
    })?;
    Ok(if all_ready(&seen_providers) {
        Exit::Success
    } else {
        Exit::Error
    })
}

/// The providers to look at, and whether somebody asks about each.
fn providers_to_check(
    args: &CheckArgs,
    needs: &[Need],
    access: &Access,
) -> Result<Vec<(String, bool)>, Failure> {
    if let Some(unknown) = args
        .provider
        .iter()
        .find(|name| !provider::NAMES.contains(&name.as_str()))
    {
        return Err(Failure::error(provider::unknown(unknown)));
    }
    let named_providers: BTreeSet<&str> = args.provider.iter().map(String::as_str).collect();
    if !named_providers.is_empty() {
        return Ok(named_providers
            .into_iter()
            .map(|name| (name.to_owned(), true))
            .collect());
    }
    let clouds: BTreeSet<&str> = needs.iter().map(|need| need.place.cloud.as_str()).collect();
    if !clouds.is_empty() {
        return Ok(clouds
            .into_iter()
            .map(|name| (name.to_owned(), true))
            .collect());
    }
    let present_providers = provider::present(access);
    let all_providers = provider::NAMES
        .iter()
        .filter(|name| **name != provider::SIM || present_providers.iter().any(|one| one == *name));
    Ok(all_providers
        .map(|name| {
            (
                (*name).to_owned(),
                present_providers.iter().any(|one| one == name),
            )
        })
        .collect())
}

async fn look_at_providers(
    names: Vec<(String, bool)>,
    needs: &[Need],
    access: &Access,
) -> Vec<Seen> {
    let mut looks = tokio::task::JoinSet::new();
    for (number, (name, asked)) in names.into_iter().enumerate() {
        let needs: Vec<Need> = needs
            .iter()
            .filter(|need| need.place.cloud == name)
            .cloned()
            .collect();
        let access = access.clone();
        looks.spawn(async move { (number, check_provider(name, asked, &needs, &access).await) });
    }
    let mut seen_by_order: Vec<(usize, Seen)> = Vec::new();
    while let Some(look) = looks.join_next().await {
        seen_by_order.extend(look);
    }
    seen_by_order.sort_by_key(|(number, _)| *number);
    seen_by_order.into_iter().map(|(_, seen)| seen).collect()
}

async fn check_provider(
    name: String,
    was_asked_for: bool,
    needs: &[Need],
    access: &Access,
) -> Seen {
    let findings = match provider::open(&name, access) {
        Ok(Some(provider)) if was_asked_for => provider.check(needs).await,
        // What nobody asks about is not asked: it says what it would take.
        Ok(Some(provider)) => match in_time(provider.ready(), &name).await {
            Ok(()) => Vec::new(),
            Err(error) => vec![Finding::failed(Topic::Credentials, name.clone(), &error)],
        },
        Ok(None) => {
            let unknown_words = provider::unknown(&name);
            vec![Finding {
                topic: Topic::Reach,
                about: name.clone(),
                verdict: Verdict::Missing,
                said: unknown_words,
            }]
        }
        Err(error) => vec![Finding::failed(Topic::Credentials, name.clone(), &error)],
    };
    let provider_status = if was_asked_for {
        Status::of(&findings)
    } else {
        Status::NotSetUp
    };
    Seen {
        name,
        status: provider_status,
        findings,
    }
}

fn all_ready(seen_providers: &[Seen]) -> bool {
    seen_providers
        .iter()
        .all(|seen| matches!(seen.status, Status::Ready | Status::NotSetUp))
}

fn check_text(seen_providers: &[Seen], terminal: &Terminal) -> String {
    let mut text = String::new();
    for one in seen_providers {
        text += &format!("{}: {}\n", one.name, one.status.words());
        let finding_row = |finding: &Finding| {
            let about_other = if finding.about == one.name {
                String::new()
            } else {
                format!("{}: ", finding.about)
            };
            vec![
                finding.verdict.words().to_owned(),
                finding.topic.words().to_owned(),
                // Some messages name what they are about_other themselves.
                match finding.said.starts_with(&about_other) {
                    true => finding.said.clone(),
                    false => format!("{about_other}{}", finding.said),
                },
            ]
        };
        let finding_rows: Vec<Vec<String>> = one.findings.iter().map(finding_row).collect();
        if !finding_rows.is_empty() {
            let table = table::text(&["", "", ""], &finding_rows, terminal.width);
            text.extend(table.lines().skip(1).map(|line| format!(" {line}\n")));
        }
    }
    text
}

fn json_text(seen_providers: &[Seen]) -> String {
    let finding = |finding: &Finding| {
        json!({
            "topic": finding.topic.name(),
            "about": finding.about,
            "verdict": finding.verdict.name(),
            "message": finding.said,
        })
    };
    let provider_json = |one: &Seen| {
        json!({
            "provider": one.name,
            "status": one.status.words().replace(' ', "_"),
            "findings": one.findings.iter().map(finding).collect::<Vec<_>>(),
        })
    };
    let providers: Vec<_> = seen_providers.iter().map(provider_json).collect();
    format!(
        "{}\n",
        json!({ "format_version": "1.0", "ready": all_ready(seen_providers), "providers": providers })
    )
}
