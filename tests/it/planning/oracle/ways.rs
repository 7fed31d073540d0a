//! What placements share: ways and their price lists, trees of copies, quotas, spreads.
//!
//! The lines of a bill, each of which is rounded once, half to even, to a micro-dollar: where all
//! that the job may send under a price list has one price, every copy is a line, as in the plan;
//! where tiers or a free allowance change the price on the way, all copies of the list together are
//! one.

use super::work::{Data, Made, Take, Task};
use sky::catalog::Catalog;
use sky::model::units::div_half_even;
use sky::model::{Bytes, Domain, Job, Machine, Millis, Offer, Policy, Tariff};
use std::collections::{BTreeMap, BTreeSet};

/// Where a copy comes from, by its destination; places of the catalog.
pub(super) type Tree = BTreeMap<u32, u32>;

/// The price that an account has of its own for a way, in nano-USD for a GB as the cloud bills it,
/// and the bytes of that: the last that matches.
pub(super) fn arranged(
    policy: &Policy,
    catalog: &Catalog,
    from: u32,
    to: u32,
) -> Option<(i128, i128)> {
    let terms = catalog.terms.get(&catalog.places[from as usize].name.cloud);
    let gigabyte = terms.map_or(1_000_000_000, |terms| i128::from(terms.gigabyte.0));
    let name = |place: u32| catalog.places[place as usize].name.to_string();
    let (from, to) = (name(from), name(to));
    let matching = policy
        .links
        .iter()
        .rfind(|link| link.from.matches(&from) && link.to.matches(&to));
    matching.map(|link| (i128::from(link.rate.0), gigabyte))
}

/// A price list of a cloud: what leaves the cloud under it is counted together, and so is what
/// stays inside.
struct List<'a> {
    tariff: &'a Tariff,
    /// Bytes that the month already had.
    used: i128,
    /// Of the month's first bytes, so many cost nothing.
    free: i128,
    /// The most that the job may send at all.
    most: i128,
}

impl List<'_> {
    /// What the first bytes of a month cost.
    fn first(&self, bytes: i128) -> i128 {
        i128::from(self.tariff.with_free(size(self.free)).cost(size(bytes)).0)
    }

    /// Whether every byte that the job may send has the same price.
    fn is_flat(&self) -> bool {
        let tariff = self.tariff.with_free(size(self.free));
        tariff
            .flat_between(size(self.used), size(self.used + self.most))
            .is_some()
    }

    /// What copies cost together.
    fn bill(&self, copies: &[i128]) -> i128 {
        match self.is_flat() {
            true => copies.iter().map(|bytes| self.at_one_price(*bytes)).sum(),
            false => self.cost(copies.iter().sum()),
        }
    }

    /// A copy at the price of the next byte of the month.
    fn at_one_price(&self, bytes: i128) -> i128 {
        let tariff = self.tariff.with_free(size(self.free));
        let rate = tariff.last_rate(size(self.used + 1));
        div_half_even(
            bytes * i128::from(rate.0),
            i128::from(tariff.gigabyte().0) * 1000,
        )
    }

    /// What so many bytes cost on top of what the month already had.
    fn cost(&self, bytes: i128) -> i128 {
        self.first(self.used + bytes) - self.first(self.used)
    }
}

fn size(bytes: i128) -> Bytes {
    Bytes(u64::try_from(bytes).unwrap())
}

type Key<'a> = (&'a str, bool, &'a Tariff);

/// The ways between places, as one account sees them.
pub(super) struct Ways<'a> {
    policy: &'a Policy,
    catalog: &'a Catalog,
    /// Copies may come from a place other than their origin.
    relays: bool,
    lists: BTreeMap<Key<'a>, List<'a>>,
}

/// Who bills a copy.
enum Bill<'a> {
    /// Nano-USD per GB, by an arrangement of one's own, and the bytes of a GB.
    Link((i128, i128)),
    List(Key<'a>),
}

impl<'a> Ways<'a> {
    /// Between places where the job may have something to do.
    pub(super) fn new(
        policy: &'a Policy,
        catalog: &'a Catalog,
        places: &BTreeSet<u32>,
        data: &[Data],
    ) -> Self {
        // Every reader may be at another place; none needs more copies than there are other places.
        let copies = |data: &Data| {
            data.readers
                .len()
                .max(1)
                .min(places.len().saturating_sub(1)) as i128
        };
        let most = data.iter().map(|data| data.bytes * copies(data)).sum();
        let relays = policy.relay != Some(false);
        let mut ways = Self {
            policy,
            catalog,
            relays,
            lists: BTreeMap::new(),
        };
        for from in places {
            for to in places {
                let Some(key) = ways.key(*from, *to) else {
                    continue;
                };
                let used = policy
                    .accounts
                    .get(key.0)
                    .and_then(|account| account.used_this_month)
                    .filter(|_| key.1);
                let used = used.map_or(0, |used| i128::from(used.0));
                ways.lists.insert(
                    key,
                    List {
                        tariff: key.2,
                        used,
                        free: 0,
                        most,
                    },
                );
            }
        }
        // The free allowance counts on the cheapest list of what leaves a cloud, if it is known how
        // much of it the month has left.
        for (cloud, terms) in &catalog.terms {
            if policy
                .accounts
                .get(cloud)
                .is_none_or(|account| account.used_this_month.is_none())
            {
                continue;
            }
            let price = |tariff: &Tariff| tariff.cost(Bytes(1_000_000_000)).0;
            let charged = ways
                .lists
                .keys()
                .filter(|key| key.0 == cloud && key.1 && price(key.2) > 0);
            let cheapest = charged.min_by_key(|key| (price(key.2), key.2)).copied();
            if let Some(list) = cheapest.and_then(|key| ways.lists.get_mut(&key)) {
                list.free = i128::from(terms.free_egress.0);
            }
        }
        ways
    }

    /// This machine.
    pub(super) fn here(&self) -> u32 {
        super::work::here(self.catalog)
    }

    fn cloud(&self, place: u32) -> &'a str {
        &self.catalog.places[place as usize].name.cloud
    }

    fn key(&self, from: u32, to: u32) -> Option<Key<'a>> {
        let leaves = self.cloud(from) != self.cloud(to);
        Some((
            self.cloud(from),
            leaves,
            self.catalog.network.tariff(from, to)?,
        ))
    }

    fn bill(&self, from: u32, to: u32) -> Option<Bill<'a>> {
        match arranged(self.policy, self.catalog, from, to) {
            Some(rate) => Some(Bill::Link(rate)),
            None => self.key(from, to).map(Bill::List),
        }
    }

    /// What one copy costs if nothing else moves.
    fn alone(&self, from: u32, to: u32, bytes: i128) -> Option<i128> {
        Some(match self.bill(from, to)? {
            Bill::Link(rate) => linked(bytes, rate),
            Bill::List(key) => self.lists[&key].bill(&[bytes]),
        })
    }

    pub(super) fn travel(&self, from: u32, to: u32, bytes: i128) -> i128 {
        if from == to {
            return 0;
        }
        let known = self
            .catalog
            .network
            .speed(from, to)
            .map(|speed| speed.bandwidth.0);
        let home = &self.policy.home;
        let declared = match (from == self.here(), to == self.here()) {
            (true, _) => home.uplink,
            (_, true) => home.downlink.or(home.uplink),
            (false, false) => None,
        };
        let speed = known
            .into_iter()
            .chain(declared.map(|speed| speed.0))
            .min()
            .unwrap_or(1_000_000_000);
        div_half_even(bytes * 8 * 1000, i128::from(speed))
    }

    /// Keeping data at a place as long as the policy says.
    pub(super) fn kept(&self, place: u32, bytes: i128) -> i128 {
        let (Some(Millis(keep)), Some(terms)) =
            (self.policy.keep, self.catalog.terms.get(self.cloud(place)))
        else {
            return 0;
        };
        // nano-USD per GB and 730 hours -> micro-USD
        let per = i128::from(terms.gigabyte.0) * 1000;
        div_half_even(
            bytes * i128::from(terms.storage.0) * i128::from(keep),
            per * 730 * 3_600_000,
        )
    }

    /// All trees by which data gets from a place to others: each takes its copy from the origin, or
    /// from another of them that is cheaper. None: it cannot.
    pub(super) fn trees(&self, origin: u32, to: &BTreeSet<u32>, bytes: i128) -> Vec<Tree> {
        let mut trees = vec![Tree::new()];
        for place in to {
            let Some(direct) = self.alone(origin, *place, bytes) else {
                return Vec::new();
            };
            let cheaper = |holder: &&u32| {
                **holder != *place
                    && self.relays
                    && self
                        .alone(**holder, *place, bytes)
                        .is_some_and(|cost| cost < direct)
            };
            let from: Vec<u32> = std::iter::once(origin)
                .chain(to.iter().filter(cheaper).copied())
                .collect();
            let one_more = |tree: &Tree| -> Vec<Tree> {
                from.iter()
                    .map(|from| tree.clone().into_iter().chain([(*place, *from)]).collect())
                    .collect()
            };
            trees = trees.iter().flat_map(one_more).collect();
        }
        // From every place one comes back to the origin; who goes in a ring does not.
        let sound = |tree: &Tree| {
            to.iter().all(|place| {
                let back = (0..to.len()).fold(*place, |at, _| tree.get(&at).copied().unwrap_or(at));
                back == origin
            })
        };
        trees.retain(sound);
        trees
    }

    /// What copies cost together.
    pub(super) fn egress(&self, copies: impl Iterator<Item = (u32, u32, i128)>) -> i128 {
        let mut volumes: BTreeMap<Key<'a>, Vec<i128>> = BTreeMap::new();
        let mut cost = 0;
        for (from, to, bytes) in copies {
            match self.bill(from, to).unwrap() {
                Bill::Link(rate) => cost += linked(bytes, rate),
                Bill::List(key) => volumes.entry(key).or_default().push(bytes),
            }
        }
        cost + volumes
            .iter()
            .map(|(key, bytes)| self.lists[key].bill(bytes))
            .sum::<i128>()
    }

    /// What the same copies would cost if none were counted with another.
    pub(super) fn apart(&self, copies: impl Iterator<Item = (u32, u32, i128)>) -> i128 {
        copies
            .map(|(from, to, bytes)| self.alone(from, to, bytes).unwrap())
            .sum()
    }
}

pub(super) fn linked(bytes: i128, (rate, gigabyte): (i128, i128)) -> i128 {
    div_half_even(bytes * rate, gigabyte * 1000)
}

/// One figure of a quota, for one cloud or place.
pub(super) struct Limit {
    places: BTreeSet<u32>,
    what: What,
    pub most: i128,
}

/// What it counts: thousandths of vCPUs, machines, thousandths of cards (of one name).
enum What {
    Vcpus,
    Machines,
    Cards(Option<String>),
}

impl Limit {
    pub(super) fn uses(&self, offer: &Offer, machine: &Machine, nodes: u32) -> i128 {
        let each = match &self.what {
            What::Vcpus => i128::from(machine.vcpu_thousandths),
            What::Machines => 1,
            What::Cards(only) => match &machine.accelerator {
                Some((name, count)) if only.as_ref().is_none_or(|only| only == name) => {
                    i128::from(*count)
                }
                _ => 0,
            },
        };
        if self.places.contains(&offer.place) {
            each * i128::from(nodes)
        } else {
            0
        }
    }
}

/// The policy's quotas: a key with a colon is for each place that it matches, another for a cloud.
pub(super) fn quotas(policy: &Policy, catalog: &Catalog) -> Vec<Limit> {
    let mut limits = Vec::new();
    for (pattern, quota) in &policy.quotas {
        let mut domains: Vec<BTreeSet<u32>> = Vec::new();
        let mut cloud = BTreeSet::new();
        for (id, place) in (0..).zip(&catalog.places) {
            if pattern.0.contains(':') && pattern.matches(&place.name.to_string()) {
                domains.push(BTreeSet::from([id]));
            }
            if pattern.0 == place.name.cloud {
                cloud.insert(id);
            }
        }
        domains.push(cloud);
        for places in domains {
            let mut limit = |what: What, most: Option<u64>, unit: i128| {
                limits.extend(most.map(|most| Limit {
                    places: places.clone(),
                    what,
                    most: i128::from(most) * unit,
                }));
            };
            limit(What::Vcpus, quota.vcpu_thousandths, 1);
            limit(What::Machines, quota.instances, 1);
            limit(What::Cards(None), quota.accelerators, 1000);
            for (name, most) in &quota.by_accelerator {
                limit(What::Cards(Some(name.clone())), Some(*most), 1000);
            }
        }
    }
    limits
}

/// By task: when it starts and ends.
pub(super) type Times = BTreeMap<usize, (i128, i128)>;

/// Whether every quota is kept at every moment at which a task starts.
pub(super) fn within_quotas(
    limits: &[Limit],
    tasks: &[Task<'_>],
    placement: &[Take<'_>],
    times: &Times,
) -> bool {
    limits.iter().all(|limit| {
        let uses = |task: usize| {
            limit.uses(
                placement[task].offer,
                placement[task].machine,
                tasks[task].stage.nodes,
            )
        };
        times.values().all(|(moment, _)| {
            let running = times
                .iter()
                .filter(|(_, (start, end))| start <= moment && moment < end);
            running.map(|(task, _)| uses(*task)).sum::<i128>() <= limit.most
        })
    })
}

/// Whether no failure domain holds too many copies.
pub(super) fn spread_out(
    job: &Job,
    tasks: &[Task<'_>],
    placement: &[Take<'_>],
    catalog: &Catalog,
) -> bool {
    job.spread.iter().all(|spread| {
        let mut held: BTreeMap<String, u32> = BTreeMap::new();
        let members = tasks
            .iter()
            .zip(placement)
            .filter(|(task, _)| spread.stages.contains(task.stage_name));
        for (_, take) in members {
            let name = &catalog.place(take.offer).name;
            let domain = match spread.over {
                Domain::Place => name.to_string(),
                Domain::Cloud => name.cloud.clone(),
            };
            *held.entry(domain).or_default() += 1;
        }
        held.values().all(|count| *count <= spread.at_most)
    })
}

/// Where data is made.
pub(super) fn origin(data: &Data, placement: &[Take<'_>]) -> u32 {
    match data.made {
        Made::Before(place) => place,
        Made::By(task) => placement[task].offer.place,
    }
}

/// Other places where it is read, or this machine if it is brought home.
pub(super) fn destinations(data: &Data, placement: &[Take<'_>], here: u32) -> BTreeSet<u32> {
    let origin = origin(data, placement);
    if data.home {
        return BTreeSet::from([here]);
    }
    data.readers
        .iter()
        .map(|reader| placement[*reader].offer.place)
        .filter(|place| *place != origin)
        .collect()
}
