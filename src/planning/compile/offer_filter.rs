//! Which needs of a stage an offer meets, and how.

use super::needs;
use super::places::Places;
use crate::model::units::signed_count;
use crate::model::{
    Allocation, Machine, Needs, Offer, OfferName, Place, Purchase, Rate, Tee, TeeSet,
};
use crate::planning::rule::{self, Terms};
use std::collections::BTreeSet;

/// What decides which offers a stage may take: equal requests have equal offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request<'a> {
    /// The needs of the stage.
    pub needs: &'a Needs,
    /// The labels of what the stage reads.
    pub labels: &'a BTreeSet<String>,
    /// As the stage says it.
    pub allocation: Option<Allocation>,
    /// Offers that were tried and are unavailable.
    pub without: &'a BTreeSet<OfferName>,
}

/// What a request says of every machine and place of the catalog, looked up once.
pub(super) struct OfferFilter<'a> {
    request: Request<'a>,
    places: &'a Places<'a>,
    allocation: Allocation,
    /// The policy's key that says how machines are bought; none: the stage does.
    said_by: Option<&'static str>,
    /// By machine: the first need that it does not meet.
    unmet: Vec<Option<&'static str>>,
    /// By machine: whether it is looked at at all.
    in_question: Vec<bool>,
    of_place: Vec<PlaceFit>,
    alternatives: Alternatives,
    trusted: Option<TeeSet>,
}

/// What a request says of one place.
struct PlaceFit {
    /// The needs name the place, or name none.
    wanted: bool,
    /// The place is near enough.
    near: bool,
    /// The policy's key that forbids it.
    forbidden: Option<String>,
}

impl<'a> OfferFilter<'a> {
    pub(super) fn of(request: &Request<'a>, places: &'a Places<'a>) -> Self {
        let Places {
            catalog,
            policy,
            names,
            ..
        } = places;
        let needs = request.needs;
        let (allocation, said_by) = stage_allocation(request, places);
        let machines = || catalog.machines.iter();
        let fit = |((id, name), place): ((u32, &String), &Place)| PlaceFit {
            wanted: needs::at(needs, name),
            near: places.within(id, needs),
            forbidden: rule::forbids_place(policy, request.labels, place),
        };
        Self {
            request: *request,
            places,
            allocation,
            said_by,
            unmet: machines()
                .map(|machine| needs::unmet(needs, machine, catalog))
                .collect(),
            in_question: machines()
                .map(|machine| needs::in_question(needs, machine))
                .collect(),
            of_place: (0_u32..).zip(names).zip(&catalog.places).map(fit).collect(),
            alternatives: Alternatives::of(needs, places),
            trusted: rule::trusted(policy, request.labels),
        }
    }

    /// How machines are bought.
    pub(super) fn allocation(&self) -> Allocation {
        self.allocation
    }

    /// Whether an offer's machine is one of those that are looked at for these needs.
    pub(super) fn is_in_question(&self, offer: &Offer) -> bool {
        self.in_question[offer.machine as usize]
    }

    /// How an offer meets all that the stage itself says, or the first need that it does not meet.
    pub(super) fn taken(&self, offer: &Offer) -> Result<Met, &'static str> {
        let needs_met = self.met(offer)?;
        if self.said_by.is_none() && !self.is_bought(offer) {
            return Err("allocation");
        }
        if self.is_exhausted(offer) {
            return Err("unavailable");
        }
        Ok(needs_met)
    }

    /// Whether an offer would do but for its last day.
    pub(super) fn was_met_by(&self, offer: &Offer) -> bool {
        self.is_in_question(offer) && self.met(offer).is_ok() && self.is_bought(offer)
    }

    /// The policy's key that forbids the offer's place.
    pub(super) fn place_forbidden_by(&self, offer: &Offer) -> Option<&String> {
        self.of_place[offer.place as usize].forbidden.as_ref()
    }

    /// The policy's key that forbids how the offer is bought.
    pub(super) fn purchase_forbidden_by(&self, offer: &Offer) -> Option<String> {
        self.said_by
            .filter(|_| !self.is_bought(offer))
            .map(str::to_owned)
    }

    /// What rules about machines look at. Prices would make a key of nearly every offer where no
    /// rule looks at them.
    pub(super) fn terms(&self, offer: &Offer, tees: TeeSet) -> Terms {
        let Places {
            policy, catalog, ..
        } = self.places;
        Terms {
            tees,
            purchase: offer.purchase,
            hourly: policy.max_price.and_then(|_| needs::hourly(offer, catalog)),
        }
    }

    /// What the machine has to run with.
    pub(super) fn tee(&self, met: Met) -> Option<Tee> {
        met.tee(self.trusted)
    }

    fn met(&self, offer: &Offer) -> Result<Met, &'static str> {
        let (needs, catalog) = (self.request.needs, self.places.catalog);
        let place = &self.of_place[offer.place as usize];
        let unmet = match self.unmet[offer.machine as usize] {
            None if !place.wanted => Some("places"),
            None if !place.near => Some("latency"),
            None if !needs::affordable(needs, offer, catalog) => Some("max_price"),
            unmet => unmet,
        };
        if let Some(unmet) = unmet {
            return Err(unmet);
        }
        let tees = needs::tees(needs, offer.tee).ok_or("tee")?;
        let needs_met = self
            .alternatives
            .met(offer, needs::hourly(offer, catalog), tees, self.trusted)
            .ok_or("any_of")?;
        Ok(Met {
            demanded: needs_met.demanded || !needs.tee.is_empty(),
            ..needs_met
        })
    }

    fn is_bought(&self, offer: &Offer) -> bool {
        match self.allocation {
            Allocation::OnDemand => offer.purchase == Purchase::OnDemand,
            Allocation::Spot => offer.purchase == Purchase::Spot,
            Allocation::SpotIfAvailable | Allocation::Cheapest => true,
        }
    }

    /// Whether the stage has tried the offer already.
    fn is_exhausted(&self, offer: &Offer) -> bool {
        let (without, catalog) = (self.request.without, self.places.catalog);
        !without.is_empty()
            && without.contains(&OfferName {
                place: catalog.place(offer).name.clone(),
                instance_type: catalog.machine(offer).instance_type.clone(),
                purchase: offer.purchase,
            })
    }
}

/// How machines are bought for a stage, and the policy's key that says so; none: the stage does.
fn stage_allocation(
    request: &Request<'_>,
    places: &Places<'_>,
) -> (Allocation, Option<&'static str>) {
    match (
        request.allocation,
        places.policy.allocation,
        places.policy.allow_spot,
    ) {
        (Some(allocation), ..) => (allocation, None),
        (None, Some(allocation), _) => (allocation, Some("spot.allocation")),
        (None, None, Some(true)) => (Allocation::Cheapest, Some("spot.allow")),
        (None, None, _) => (Allocation::OnDemand, Some("spot.allow")),
    }
}

/// How an offer meets the needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Met {
    /// Its place in the order of preference, 0 if there is none.
    pub(super) rank: i64,
    /// Of its environments those that meet the needs.
    pub(super) tees: TeeSet,
    /// The needs ask for one.
    demanded: bool,
}

impl Met {
    /// What the machine has to run with: of the environments that needs and policy accept the
    /// first.
    fn tee(self, trusted: Option<TeeSet>) -> Option<Tee> {
        let accepted = trusted.map_or(self.tees, |trusted| self.tees.and(trusted));
        accepted
            .iter()
            .next()
            .filter(|_| self.demanded || trusted.is_some())
    }
}

/// Which of the alternative sets of needs machines and places meet.
struct Alternatives {
    ordered: bool,
    /// By set: by machine, by place, environments (none: none needed).
    sets: Vec<(Vec<bool>, Vec<bool>, TeeSet)>,
    /// By set: the most that an hour may cost.
    max_prices: Vec<Option<Rate>>,
}

impl Alternatives {
    fn of(needs: &Needs, places: &Places<'_>) -> Self {
        let catalog = places.catalog;
        let needs_set = |needs: &Needs| {
            let machine = |machine: &Machine| needs::meets(needs, machine, catalog);
            let place =
                |(id, name): (u32, &String)| needs::at(needs, name) && places.within(id, needs);
            (
                catalog.machines.iter().map(machine).collect(),
                (0_u32..).zip(&places.names).map(place).collect(),
                needs.tee.iter().copied().collect(),
            )
        };
        let max_prices = needs.any_of.iter().map(|needs| needs.max_price).collect();
        Self {
            ordered: needs.ordered,
            sets: needs.any_of.iter().map(needs_set).collect(),
            max_prices,
        }
    }

    /// How an offer, of whose environments `tees` meet what is common to all sets, meets the first
    /// set that it meets, and in such a way that the policy trusts it if there is one; `None`: it
    /// meets no set. `hourly` is what an hour of it costs, if it is billed by that.
    fn met(
        &self,
        offer: &Offer,
        hourly: Option<Rate>,
        tees: TeeSet,
        trusted: Option<TeeSet>,
    ) -> Option<Met> {
        if self.sets.is_empty() {
            return Some(Met {
                rank: 0,
                tees,
                demanded: false,
            });
        }
        let set_met =
            |(place, (machines, places, tee)): (usize, &(Vec<bool>, Vec<bool>, TeeSet))| {
                let demanded = !tee.is_empty();
                let dear = self.max_prices[place]
                    .zip(hourly)
                    .is_some_and(|(most, hourly)| hourly > most);
                let may_stand_there =
                    !dear && machines[offer.machine as usize] && places[offer.place as usize];
                let tees = if demanded { tees.and(*tee) } else { tees };
                let set_rank = if self.ordered { signed_count(place) } else { 0 };
                (may_stand_there && !(demanded && tees.is_empty())).then_some(Met {
                    rank: set_rank,
                    tees,
                    demanded,
                })
            };
        let mut all_met = self.sets.iter().enumerate().filter_map(set_met);
        let first_met = all_met.next()?;
        let trustworthy = |met: &Met| trusted.is_none_or(|trusted| met.tees.meets(trusted));
        Some(
            std::iter::once(first_met)
                .chain(all_met)
                .find(trustworthy)
                .unwrap_or(first_met),
        )
    }
}
