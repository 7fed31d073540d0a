//! The placement problem: every stage takes one of its choices; artifacts follow.

use super::ids::{ArtifactId, CandidateId, CapId, ChoiceId, PoolId, PriceId, SiteId, StageId};
use crate::model::units::MS_PER_HOUR;
use crate::model::{Bandwidth, Bytes, Millis, Money, Objective, Tariff};
use crate::util::id_vec::{Id, IdVec};

/// A placement problem.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instance {
    /// In canonical order.
    pub stages: IdVec<StageId, StageChoices>,
    /// Data that moves, in canonical order.
    pub artifacts: IdVec<ArtifactId, Artifact>,
    /// Stages that wait for others without data between them.
    pub precedence: Vec<Precedence>,
    /// Prices and speeds between sites.
    pub links: Links,
    /// The figure that is minimised first.
    pub minimize: Objective,
    /// Latest end of the whole job.
    pub deadline: Option<Millis>,
    /// Most that the whole job may cost.
    pub budget: Option<Money>,
    /// What an hour of makespan is worth: with [`Objective::Cost`], the cost plus this is
    /// minimised.
    pub hour: Money,
    /// Transfers may come from sites other than their origin that get one too.
    pub relays: bool,
    /// Limits on what choices use together.
    pub caps: IdVec<CapId, Cap>,
}

/// A limit on the sum of what choices use: a quota, or stages kept apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cap {
    /// For people who read the program, and the line that says so; opaque otherwise.
    pub label: String,
    /// The most that all choices together may use, in the unit of `uses`.
    pub limit: i64,
    /// It binds only stages that may run at once, whatever their durations: every set of stages
    /// of which none waits for another keeps it. Otherwise it binds all stages together.
    pub concurrent: bool,
    /// By stage: what its candidates use, rising by candidate; one that is not there uses nothing.
    pub uses: IdVec<StageId, Vec<CandidateUse>>,
}

/// The use that one candidate of a stage makes of a [`Cap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CandidateUse {
    /// The candidate that uses something of the cap.
    pub candidate: CandidateId,
    /// How much the candidate uses, in the unit of the cap's limit.
    pub used: i64,
}

/// One stage that waits for another, without data between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Precedence {
    /// The stage that has to end first.
    pub before: StageId,
    /// The stage that starts only then.
    pub after: StageId,
}

/// The choices of one stage: never empty, in canonical order, which breaks ties.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StageChoices {
    /// For people who read the program; opaque otherwise.
    pub label: String,
    /// The choices, in the order that breaks ties.
    pub choices: IdVec<ChoiceId, Choice>,
    /// Latest end of this stage.
    pub deadline: Option<Millis>,
}

/// One choice of a stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Where the stage runs then.
    pub site: SiteId,
    /// All that it costs wherever the other stages are: compute, and `storage` with it.
    pub cost: Money,
    /// The part of `cost` for keeping what the stage writes where it runs.
    pub storage: Money,
    /// The time from the start of the stage to its end.
    pub duration: Millis,
    /// Place in an order of preference, 0 first: the sum over all stages is minimised before
    /// anything else.
    pub rank: i64,
    /// Which choice this is for whoever made the instance; unique within the stage and rising.
    pub tag: CandidateId,
}

/// Data that is made in one place and read in others. It is paid for once per site that it is
/// copied to, whatever number of readers it has there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// For people who read the program; opaque otherwise.
    pub label: String,
    /// The site or the stage that the artifact comes from.
    pub origin: Origin,
    /// The size of the artifact, which is what transfers are billed for.
    pub bytes: Bytes,
    /// What the link carries until a transfer has arrived: the artifact, and what shares the link
    /// of one machine with it. Transfers take the time of so much.
    pub link_bytes: Bytes,
    /// Stages that read it, ascending.
    pub readers: Vec<StageId>,
}

/// Where an artifact comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The artifact lies at this site from the start.
    Site(SiteId),
    /// This stage makes it, where the stage runs.
    Stage(StageId),
}

/// Prices and speeds between sites, dense, by `from * sites + to`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// The number of sites.
    pub sites: usize,
    /// For people who read the program; opaque otherwise.
    pub labels: IdVec<SiteId, String>,
    /// The price class of the link of each pair of sites, by [`Links::pair`]; `None`: the link may
    /// not be used.
    pub tariff: Vec<Option<PriceId>>,
    /// The price classes of transfers, by the number that `tariff` has.
    pub tariffs: IdVec<PriceId, Price>,
    /// Volumes that are counted together.
    pub pools: IdVec<PoolId, Pool>,
    /// The speed of the link of each pair of sites.
    pub bandwidth: Vec<Bandwidth>,
}

/// The price of one transfer in a price class.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Price {
    /// The egress price list of the transfer, by volume.
    pub tariff: Tariff,
    /// For keeping the transfer at its destination.
    pub keep: Tariff,
    /// The bill that its volume is counted on; `None`: every transfer is priced on its own.
    pub pool: Option<PoolId>,
}

/// One bill's volume: the tiers of its tariff run over all transfers of all its classes together.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pool {
    /// The egress price list, by the volume of the whole bill.
    pub tariff: Tariff,
    /// Volume already used.
    pub used: Bytes,
}

impl Pool {
    /// Returns what so many bytes cost on top of what is used already.
    pub fn cost_of_next(&self, bytes: Bytes) -> Money {
        let volume_after = Bytes(self.used.0.saturating_add(bytes.0));
        self.tariff.cost(volume_after) - self.tariff.cost(self.used)
    }
}

impl Price {
    /// Returns what one transfer costs, counted on its own from the first byte of the price list.
    pub fn cost(&self, bytes: Bytes) -> Money {
        self.tariff.cost(bytes) + self.kept(bytes)
    }

    /// Returns the part of a transfer's cost for keeping the artifact.
    pub fn kept(&self, bytes: Bytes) -> Money {
        self.keep.cost(bytes)
    }
}

impl StageChoices {
    /// Returns the duration of the shortest choice; zero if the stage has no choice, and so no
    /// placement anyway.
    pub fn shortest(&self) -> Millis {
        let durations = self.choices.iter().map(|choice| choice.duration);
        durations.min().unwrap_or(Millis(0))
    }
}

impl Links {
    /// Returns all sites, in order.
    pub fn site_ids(&self) -> impl DoubleEndedIterator<Item = SiteId> + Clone + use<> {
        SiteId::below(self.sites)
    }

    /// Returns where the link from one site to another is in [`Links::tariff`] and
    /// [`Links::bandwidth`].
    #[inline]
    pub fn pair(&self, from: SiteId, to: SiteId) -> usize {
        from.index() * self.sites + to.index()
    }

    /// Returns the price class of a link; `None`: the link may not be used.
    pub fn class(&self, from: SiteId, to: SiteId) -> Option<PriceId> {
        self.tariff[self.pair(from, to)]
    }

    /// Returns what a transfer costs; free inside a site. `None`: forbidden.
    pub fn cost(&self, from: SiteId, to: SiteId, bytes: Bytes) -> Option<Money> {
        if from == to {
            return Some(Money(0));
        }
        self.class(from, to)
            .map(|class| self.class_cost(class, bytes))
    }

    /// What a transfer costs in a price class if nothing else is sent with it. Tiers and a free
    /// allowance are those of a month and an account: what was used already counts before it.
    pub fn class_cost(&self, class: PriceId, bytes: Bytes) -> Money {
        let price = &self.tariffs[class];
        match price.pool {
            Some(pool) => self.pools[pool].cost_of_next(bytes) + price.kept(bytes),
            None => price.cost(bytes),
        }
    }

    /// How long a transfer takes; no time inside a site.
    pub fn time(&self, from: SiteId, to: SiteId, bytes: Bytes) -> Millis {
        if from == to || bytes.0 == 0 {
            return Millis(0);
        }
        let time = self.bandwidth[self.pair(from, to)].time(bytes);
        // Ten thousand years: beyond every deadline, and far from overflow in sums.
        const LONGEST: Millis = Millis(10_000 * 366 * 24 * MS_PER_HOUR as u64);
        time.min(LONGEST)
    }
}

impl Instance {
    /// Works out what depends on the DAG alone. The instance must be acyclic.
    pub fn shape(&self) -> Shape {
        let mut inputs = self.stages.map(|_| Vec::new());
        for (index, artifact) in self.artifacts.iter_enumerated() {
            for reader in &artifact.readers {
                inputs[*reader].push(StageInput {
                    origin: artifact.origin,
                    artifact: Some(index),
                });
            }
        }
        for Precedence { before, after } in &self.precedence {
            inputs[*after].push(StageInput {
                origin: Origin::Stage(*before),
                artifact: None,
            });
        }
        let order = topological_order(&inputs);
        Shape { inputs, order }
    }

    /// The number of choices over all stages.
    pub fn size(&self) -> usize {
        self.stages.iter().map(|stage| stage.choices.len()).sum()
    }
}

/// One thing that a stage waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageInput {
    /// Where it comes from.
    pub origin: Origin,
    /// The data that is brought; `None`: the stage only comes after another one.
    pub artifact: Option<ArtifactId>,
}

/// The shape of the DAG, which no choice changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// By stage: all that it waits for.
    pub inputs: IdVec<StageId, Vec<StageInput>>,
    /// Stages so that each comes after all it waits for.
    pub order: Vec<StageId>,
}

fn topological_order(inputs: &IdVec<StageId, Vec<StageInput>>) -> Vec<StageId> {
    let mut waiting_counts = inputs.map(|_| 0_usize);
    let mut next_stages: IdVec<StageId, Vec<StageId>> = inputs.map(|_| Vec::new());
    for (stage, inputs) in inputs.iter_enumerated() {
        for input in inputs {
            if let Origin::Stage(before) = input.origin {
                waiting_counts[stage] += 1;
                next_stages[before].push(stage);
            }
        }
    }
    let mut order: Vec<StageId> = inputs
        .ids()
        .filter(|stage| waiting_counts[*stage] == 0)
        .collect();
    let mut next_index = 0;
    while next_index < order.len() {
        for after in &next_stages[order[next_index]] {
            waiting_counts[*after] -= 1;
            if waiting_counts[*after] == 0 {
                order.push(*after);
            }
        }
        next_index += 1;
    }
    order
}
