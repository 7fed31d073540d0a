//! A placement in the order of the DAG, each stage where its messages expect the least to follow.

use super::network_inputs::NetworkInputs;
use super::sweeper::Sweeper;
use crate::model::Millis;
use crate::planning::problem::{
    ChoiceId, Instance, Origin, Placement, Routes, Shape, SiteId, StageId, StageInput, ready,
};
use crate::planning::solve::bound::network::{Network, ReadStar};
use crate::planning::solve::bound::reader_tally::ReaderTally;
use crate::planning::solve::heuristic::allowed_choices::AllowedChoices;
use crate::util::id_vec::{Id, IdVec};

pub(super) struct Walk<'a> {
    instance: &'a Instance,
    shape: &'a Shape,
    net: &'a Network,
    tally: ReaderTally,
    pub placement: Placement,
    /// By stage: exact end, position of the site and slot of the end in the grid.
    end: IdVec<StageId, Millis>,
    place: IdVec<StageId, usize>,
    slot: IdVec<StageId, usize>,
    /// By stage: how much later than it ends it is taken to end, as slots hide that much.
    hidden: IdVec<StageId, i64>,
    /// By stage: what it may take, where groups of sites are loose.
    near: Option<&'a AllowedChoices>,
    /// By stage: readers that wait for many stages.
    hubs: IdVec<StageId, Vec<StageId>>,
}

/// Stages that wait for as many others are hubs: what one of those may cost, each knows only a part
/// of, so hubs' starts are decided before.
const HUB: usize = 8;

impl<'a> Walk<'a> {
    /// `hidden`: time that every stage to come is expected to lose, in milliseconds. `punctual`:
    /// what hubs wait for should be there when they had best start. `near`: by stage, what it may
    /// take, for groups of sites that are loose.
    pub(super) fn new(
        ground: &NetworkInputs<'a>,
        hidden: i64,
        punctual: bool,
        near: Option<&'a AllowedChoices>,
    ) -> Self {
        let &NetworkInputs {
            instance,
            shape,
            net,
            ..
        } = ground;
        let mut inputs_left = instance.stages.map(|_| 0_i64);
        let mut hubs = instance.stages.map(|_| Vec::new());
        for &stage in shape.order.iter().rev() {
            let hub = punctual && shape.inputs[stage].len() >= HUB;
            for StageInput { origin, .. } in &shape.inputs[stage] {
                if let Origin::Stage(before) = origin {
                    inputs_left[*before] = inputs_left[*before].max(inputs_left[stage] + hidden);
                    if hub {
                        hubs[*before].push(stage);
                    }
                }
            }
        }
        let no_delay = instance.stages.map(|_| 0);
        let tally = ReaderTally::new(net.stars.len());
        let stage_ends = instance.stages.map(|_| Millis(0));
        Self {
            instance,
            shape,
            net,
            tally,
            placement: instance.stages.map(|_| ChoiceId::default()),
            end: stage_ends,
            place: no_delay.clone(),
            slot: no_delay,
            hidden: inputs_left,
            near,
            hubs,
        }
    }

    /// Places a stage whose inputs are placed.
    pub(super) fn place(&mut self, ground: &NetworkInputs<'_>, sweeper: &Sweeper, stage: StageId) {
        if let Some(near) = self.near {
            return self.place_near(ground, sweeper, stage, &near[stage]);
        }
        let node = &sweeper.grid.nodes[stage];
        let due_times = self.due(sweeper, stage);
        let mut best_choice: Option<((i64, i64, ChoiceId), usize, i64)> = None;
        // Sites without slots are those that no placement worth looking for has.
        let is_open = |position: &usize| !node.end.range(*position).is_empty();
        for (position, site) in node
            .sites
            .iter()
            .enumerate()
            .filter(|(position, _)| is_open(position))
        {
            let mut ready_time = self.ready(stage, *site);
            let transfers = self.transfer_cost(sweeper, stage, position, ready_time);
            for run in &node.runs[position] {
                let choice = &self.instance.stages[stage].choices[run.choice];
                if choice.site != *site {
                    ready_time = self.ready(stage, choice.site);
                }
                let run_end = ready_time + run.duration;
                let rank_key = match sweeper.after(stage, position, run_end + self.hidden[stage]) {
                    Some(after) if run_end <= due_times => {
                        (0, run.cost + transfers + after, run.choice)
                    }
                    _ => (run_end, run.cost + transfers, run.choice),
                };
                if best_choice.is_none_or(|(known, _, _)| rank_key < known) {
                    best_choice = Some((rank_key, position, run_end));
                }
            }
        }
        let Some(((_, _, choice), position, end)) = best_choice else {
            return;
        };
        (self.placement[stage], self.place[stage]) = (choice, position);
        self.end[stage] = Millis::from_signed(end);
        let slots = node.end.range(position);
        self.slot[stage] = node.end.not_over(position, end).unwrap_or(slots.end - 1);
        for ReadStar { star, .. } in node
            .reads
            .iter()
            .filter(|read| read.star.index() < self.net.stars.len())
        {
            self.tally.add(*star, node.sites[position]);
        }
    }

    /// The same at real sites, whose transfers cost what they do.
    fn place_near(
        &mut self,
        ground: &NetworkInputs<'_>,
        sweeper: &Sweeper,
        stage: StageId,
        near: &[ChoiceId],
    ) {
        let node = &sweeper.grid.nodes[stage];
        let choices = &self.instance.stages[stage].choices;
        let due_times = self.due(sweeper, stage);
        let mut best_choice: Option<((bool, i64, ChoiceId), i64)> = None;
        // Choices come by site.
        let mut known_ready: Option<(SiteId, i64, i64)> = None;
        for pick in near {
            let choice = &choices[*pick];
            let Ok(position) = node.sites.binary_search(&ground.site(choice)) else {
                continue;
            };
            let (ready, transfers) = match known_ready {
                Some((site, ready, transfers)) if site == choice.site => (ready, transfers),
                _ => (
                    self.ready(stage, choice.site),
                    self.real_transfers(stage, choice.site),
                ),
            };
            known_ready = Some((choice.site, ready, transfers));
            let choice_end = ready + choice.duration.signed();
            let rank_key = match sweeper.after(stage, position, choice_end + self.hidden[stage]) {
                Some(after) if choice_end <= due_times => (
                    false,
                    choice.cost.0 * self.net.scale + transfers + after,
                    *pick,
                ),
                _ => (true, choice_end, *pick),
            };
            if best_choice.is_none_or(|(known, _)| rank_key < known) {
                best_choice = Some((rank_key, choice_end));
            }
        }
        let Some(((_, _, pick), end)) = best_choice else {
            return;
        };
        (self.placement[stage], self.end[stage]) = (pick, Millis::from_signed(end));
        for ReadStar { star, .. } in &self.net.nodes[stage].reads {
            self.tally.add(*star, choices[pick].site);
        }
    }

    /// By when a stage should end for the hubs after it.
    fn due(&self, sweeper: &Sweeper, stage: StageId) -> i64 {
        let hubs = self.hubs[stage].iter();
        hubs.filter_map(|hub| sweeper.due(*hub))
            .min()
            .unwrap_or(i64::MAX)
    }

    /// The transfers to a real site that are not there yet.
    fn real_transfers(&self, stage: StageId, site: SiteId) -> i64 {
        let missing_reads = self.net.nodes[stage]
            .reads
            .iter()
            .filter(|read| self.tally.at(read.star, site) == 0);
        let price = |read: &ReadStar| {
            let star = &self.net.stars[read.star];
            let from_site = match star.origin {
                Origin::Site(from) => from,
                Origin::Stage(before) => {
                    self.instance.stages[before].choices[self.placement[before]].site
                }
            };
            self.net.price(&self.instance.links, star, from_site, site)
        };
        missing_reads.map(price).sum()
    }

    /// The transfers that a stage causes at a site: those that may serve others, too, by its part.
    fn transfer_cost(&self, sweeper: &Sweeper, stage: StageId, position: usize, ready: i64) -> i64 {
        let grid = &sweeper.grid;
        let node = &grid.nodes[stage];
        let site = node.sites[position];
        let mut cost = 0;
        for ReadStar {
            star: index,
            number,
        } in node
            .reads
            .iter()
            .filter(|read| read.star.index() < self.net.stars.len())
        {
            let star = &grid.stars[*index];
            let (from, place, slot) = match star.origin {
                Origin::Site(from) => (from, 0, 0),
                Origin::Stage(before) => (
                    grid.nodes[before].sites[self.place[before]],
                    self.place[before],
                    self.slot[before],
                ),
            };
            if from == site || self.tally.at(*index, site) > 0 {
                continue;
            }
            let price = star.price[place * star.targets.len() + star.slots[*number][position]];
            cost += match node.start.not_over(position, ready) {
                Some(start) if star.readers.len() > 1 => {
                    sweeper.part(*index, *number, slot, start).min(price)
                }
                _ => price,
            };
        }
        cost
    }

    fn ready(&self, stage: StageId, to: SiteId) -> i64 {
        ready(
            self.instance,
            self.shape,
            &Routes::new(),
            &self.placement,
            &self.end,
            stage,
            to,
        )
        .signed()
    }
}
