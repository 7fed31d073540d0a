//! What all stages of one apply share.

use super::Error;
use super::budget::{self, MachineEnd, MachineTime, Meter, Purse};
use super::notice::{Interrupt, Notice, Observer};
use super::open_buckets::OpenBuckets;
use super::recorder::Recorder;
use super::settings::{Checked, Settings};
use super::signal_deadlines::SignalDeadlines;
use crate::execution::provider::{self, Owner, Provider, Token};
use crate::execution::state::event::Event;
use crate::execution::state::{Folder, Opened, State};
use crate::execution::storage::Objects;
use crate::model::{DataRate, Money, PlaceName};
use crate::plan::{self, Plan};
use crate::util::secret::Redactor;
use crate::util::tree::Measured;
use crate::util::{clock, watch};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::OnceCell;

/// Why no provider can rent machines at the places of a cloud.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoProvider {
    /// No provider is built in for this cloud.
    #[error("this sky has no provider for {0}")]
    NotBuiltIn(String),
    /// The provider is not ready, for this reason.
    #[error("{0}")]
    NotReady(String),
}

/// Why a stage is not begun after a signal.
pub(super) const SIGNAL: &str = "interrupted before it began";

/// What all stages of one apply share.
pub(super) struct Context {
    pub plan: Plan,
    pub plan_digest: String,
    /// What a gigabyte costs from one place to another.
    pub ways: BTreeMap<(PlaceName, PlaceName), DataRate>,
    pub(super) purse: Mutex<Purse>,
    pub checked: Checked,
    pub settings: Settings,
    pub owner: Owner,
    pub recorder: Recorder,
    providers: Mutex<BTreeMap<String, Arc<dyn Provider>>>,
    pub objects: Objects,
    pub artifacts: PathBuf,
    /// Where logs and what failed stages have written are kept, by stage and attempt.
    pub kept: PathBuf,
    pub observer: Arc<dyn Observer>,
    pub interrupt: watch::Receiver<Option<Interrupt>>,
    /// What has to be over when after a signal.
    pub(super) deadlines: SignalDeadlines,
    /// Digests of datasets, each read once.
    pub datasets: BTreeMap<String, OnceCell<Measured>>,
    pub buckets: OpenBuckets,
    /// Takes the values of the job's secrets out of texts.
    pub redactor: Redactor,
    /// Stages that stay as they are, if that is asked.
    pub settled: BTreeSet<String>,
}

pub(super) fn open_context(
    plan: &Plan,
    checked: Checked,
    settings: Settings,
    folder: &Folder,
    opened: Opened,
    observer: Arc<dyn Observer>,
    interrupt: watch::Receiver<Option<Interrupt>>,
) -> Result<Context, Error> {
    let plan_digest = plan::file::digest(plan)
        .map_err(|error| Error::Bug(format!("cannot write the plan: {error}")))?;
    let mut ways: BTreeMap<(PlaceName, PlaceName), DataRate> = BTreeMap::new();
    for copy in &plan.transfers {
        let rate = copy.billed_gb_bytes.decimal_rate(copy.rate_nano_usd_per_gb);
        ways.insert((copy.from.clone(), copy.to.clone()), rate);
    }
    for way in &plan.links {
        ways.insert((way.from.clone(), way.to.clone()), way.rate_nano_usd_per_gb);
    }
    let spent_before = plan
        .from_state
        .as_ref()
        .map_or(0, |from| from.spent_micro_usd.0);
    let planned = plan
        .limits
        .budget_micro_usd
        .map(|limit| Money(limit.0.saturating_add(spent_before)));
    let limit = settings.budget.or(planned);
    let redactor = Redactor::new(checked.secrets.values().flat_map(BTreeMap::values));
    let deadlines = SignalDeadlines::new(interrupt.clone(), settings.grace);
    let context = Context {
        plan: plan.clone(),
        ways,
        purse: Mutex::new(Purse::new(limit, plan, &opened.state)),
        plan_digest,
        owner: Owner {
            job: plan.job.clone(),
            lineage: opened.state.lineage.clone(),
        },
        datasets: checked
            .datasets
            .keys()
            .map(|name| (name.clone(), OnceCell::new()))
            .collect(),
        checked,
        settings,
        recorder: Recorder::new(opened),
        providers: Mutex::default(),
        objects: Objects::at(folder.objects()),
        artifacts: folder.artifacts(),
        kept: folder.stages(),
        observer,
        interrupt,
        deadlines,
        buckets: OpenBuckets::default(),
        redactor,
        settled: BTreeSet::new(),
    };
    // All that may be needed is opened before anything is begun.
    let held_tokens = context.recorder.read(|state| {
        state
            .stages
            .values()
            .filter(|record| record.live)
            .map(|record| record.provider.clone())
            .collect::<Vec<_>>()
    });
    let wanted_providers: BTreeSet<String> = context
        .checked
        .providers
        .values()
        .cloned()
        .chain(held_tokens)
        .collect();
    for name in wanted_providers {
        context.open_provider(&name)?;
    }
    Ok(context)
}

impl Context {
    /// The name of the provider for the places of a cloud.
    pub(super) fn provider_of_cloud(&self, cloud: &str) -> Result<String, NoProvider> {
        let chosen_name = self.settings.provider.clone();
        let own_name = || provider::of_cloud(cloud, &self.settings.access).map(str::to_owned);
        let name = chosen_name
            .or_else(own_name)
            .ok_or_else(|| NoProvider::NotBuiltIn(cloud.to_owned()))?;
        self.checked
            .unready
            .get(&name)
            .map_or(Ok(name), |why| Err(NoProvider::NotReady(why.clone())))
    }

    /// The provider of that name.
    pub(super) fn open_provider(&self, name: &str) -> Result<Arc<dyn Provider>, Error> {
        let mut providers = self
            .providers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = providers.get(name) {
            return Ok(open.clone());
        }
        let opened_provider = provider::open(name, &self.settings.access)?;
        let opened_provider =
            opened_provider.ok_or_else(|| Error::NotReady(vec![provider::unknown(name)]))?;
        providers.insert(name.to_owned(), opened_provider.clone());
        Ok(opened_provider)
    }

    /// What the job may still cost. Locked after the recorder, never before.
    pub(super) fn purse(&self) -> MutexGuard<'_, Purse> {
        self.purse.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the machine of a live attempt comes to its end: whether it is still there, when its
    /// lease is over by the state. To be asked before it is given back.
    pub(super) async fn end_of_machine(
        &self,
        provider: &dyn Provider,
        token: &Token,
    ) -> MachineEnd {
        let held_record = |state: &State| {
            state
                .stages
                .get(&token.stage)
                .filter(|held| held.token == token.id)
                .cloned()
        };
        // A machine whose creation has certainly failed has none.
        let Some(lease_end) = self
            .recorder
            .read(held_record)
            .and_then(|held| held.lease_end)
        else {
            return MachineEnd::Never;
        };
        if clock::between(&clock::timestamp(), &lease_end) > budget::ROUNDING {
            return MachineEnd::Now;
        }
        match provider.get(token).await {
            Ok(None) => MachineEnd::ByLease {
                lease_end,
                overrun: provider.overrun(),
            },
            Ok(Some(machine)) if machine.ended => MachineEnd::ByLease {
                lease_end,
                overrun: provider.overrun(),
            },
            // What cannot be asked may be there, and cost something.
            Ok(Some(_)) | Err(_) => MachineEnd::Now,
        }
    }

    /// Writes down that a machine is gone, and what it has cost.
    pub(super) async fn settle_machine(
        &self,
        token: &Token,
        meter: &Meter,
        time: &MachineTime<'_>,
    ) -> Result<(), Error> {
        let stage = token.stage.clone();
        let (paid, reserved) = self
            .recorder
            .decide(|state| {
                let record = state
                    .stages
                    .get(&stage)
                    .filter(|record| record.token == token.id);
                let reserved = record.map_or(Money(0), |record| record.reserved_micro_usd);
                let micro_usd = budget::charge_for_machine(meter, time, reserved);
                let stage = stage.clone();
                Ok::<_, io::Error>((
                    (micro_usd, reserved),
                    vec![Event::Released { stage, micro_usd }],
                ))
            })
            .await?;
        if paid > reserved {
            let extra_cost = Money(paid.0.saturating_sub(reserved.0));
            let message = format!(
                "stage.{stage}: its machine was there for longer than its lease: it has cost {paid}, {extra_cost} more than \
                 was set aside"
            );
            self.observer.notice(&Notice::Warning { message });
        }
        Ok(())
    }

    /// A text without the values of the job's secrets.
    pub(super) fn redact(&self, text: &str) -> String {
        self.redactor.redact(text)
    }
}
