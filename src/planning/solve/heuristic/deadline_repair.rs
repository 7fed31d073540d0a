//! Placements by a deadline: repair of one that is late, and cheaper ones by moves of single stages
//! that stay in time.

use crate::model::Millis;
use crate::planning::problem::{
    ArtifactId, ChoiceId, Instance, Origin, Placement, Routes, Shape, SiteId, StageId, StageInput,
    ready,
};
use crate::planning::solve::bound::network::{Network, ReadStar};
use crate::planning::solve::bound::reader_tally::ReaderTally;
use crate::planning::solve::heuristic::allowed_choices::AllowedChoices;
use crate::util::id_vec::{Id, IdVec};

/// A placement with its schedule. Picks are positions of choices.
#[derive(Clone)]
pub(crate) struct TimedPlacement<'a> {
    instance: &'a Instance,
    pub(super) shape: &'a Shape,
    net: &'a Network,
    /// By stage: who waits for it.
    after: IdVec<StageId, Vec<StageOutput>>,
    pub placement: Placement,
    tally: ReaderTally,
    end: IdVec<StageId, Millis>,
    /// By stage: the longest path from its end to the end of all.
    pub(super) tail: IdVec<StageId, i64>,
}

/// A stage that waits for another one.
#[derive(Clone, Copy)]
struct StageOutput {
    reader: StageId,
    /// `None`: the reader only comes after the other.
    artifact: Option<ArtifactId>,
}

/// A choice that a stage could take, in the order of cost, length and choice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MoveOption {
    /// The choice's scaled cost with all transfers that the stage causes.
    pub cost: i64,
    /// The longest path through the stage.
    pub path: i64,
    pub pick: ChoiceId,
}

/// A move of a stage that saves time.
struct PricedMove {
    price: Price,
    stage: StageId,
    pick: ChoiceId,
}

impl<'a> TimedPlacement<'a> {
    pub(crate) fn new(
        instance: &'a Instance,
        shape: &'a Shape,
        net: &'a Network,
        placement: Placement,
    ) -> Self {
        let mut readers_after = placement.map(|_| Vec::new());
        for (stage, inputs) in shape.inputs.iter_enumerated() {
            for StageInput { origin, artifact } in inputs {
                if let Origin::Stage(before) = origin {
                    readers_after[*before].push(StageOutput {
                        reader: stage,
                        artifact: *artifact,
                    });
                }
            }
        }
        let tally = ReaderTally::new(net.stars.len());
        let (end, tail) = (placement.map(|_| Millis(0)), placement.map(|_| 0));
        let mut timed_placement = Self {
            instance,
            shape,
            net,
            after: readers_after,
            placement,
            tally,
            end,
            tail,
        };
        for (index, star) in net.stars.iter_enumerated() {
            for reader in &star.readers {
                let site = timed_placement.site(*reader);
                timed_placement.tally.add(index, site);
            }
        }
        timed_placement.schedule();
        timed_placement
    }

    pub(super) fn site(&self, stage: StageId) -> SiteId {
        self.instance.stages[stage].choices[self.placement[stage]].site
    }

    pub(super) fn travel(&self, artifact: Option<ArtifactId>, from: SiteId, to: SiteId) -> i64 {
        if from == to {
            return 0;
        }
        artifact.map_or(0, |artifact| {
            self.instance
                .links
                .time(from, to, self.instance.artifacts[artifact].link_bytes)
                .signed()
        })
    }

    pub(super) fn duration(&self, stage: StageId) -> i64 {
        self.instance.stages[stage].choices[self.placement[stage]]
            .duration
            .signed()
    }

    /// When a stage could start at a site.
    fn ready(&self, stage: StageId, site: SiteId) -> i64 {
        ready(
            self.instance,
            self.shape,
            &Routes::new(),
            &self.placement,
            &self.end,
            stage,
            site,
        )
        .signed()
    }

    /// When a stage ends, in milliseconds.
    pub(super) fn end(&self, stage: StageId) -> i64 {
        self.end[stage].signed()
    }

    /// The longest path from the end of a stage at a site.
    fn remaining_time(&self, stage: StageId, site: SiteId) -> i64 {
        let readers_after = self.after[stage].iter();
        readers_after
            .map(|output| {
                let next_stage = output.reader;
                self.travel(output.artifact, site, self.site(next_stage))
                    + self.duration(next_stage)
                    + self.tail[next_stage]
            })
            .fold(0, i64::max)
    }

    /// Works out all ends and tails.
    pub(super) fn schedule(&mut self) {
        for &stage in &self.shape.order {
            let stage_end = self.ready(stage, self.site(stage)) + self.duration(stage);
            self.end[stage] = Millis::from_signed(stage_end);
        }
        for &stage in self.shape.order.iter().rev() {
            self.tail[stage] = self.remaining_time(stage, self.site(stage));
        }
    }

    pub(crate) fn makespan(&self) -> i64 {
        self.end.iter().copied().fold(Millis(0), Ord::max).signed()
    }

    pub(super) fn put(&mut self, stage: StageId, pick: ChoiceId) {
        let site_before = self.site(stage);
        self.placement[stage] = pick;
        let site_now = self.site(stage);
        if site_before != site_now {
            for ReadStar { star, .. } in &self.net.nodes[stage].reads {
                self.tally.remove(*star, site_before);
                self.tally.add(*star, site_now);
            }
        }
    }

    /// What a stage causes at a site besides its own cost.
    fn transfer_cost(&self, stage: StageId, site: SiteId) -> i64 {
        let node = &self.net.nodes[stage];
        let site_here = self.site(stage);
        let links = &self.instance.links;
        let mut cost = 0;
        for ReadStar { star, .. } in &node.reads {
            if self.tally.at(*star, site) == u32::from(site_here == site) {
                let from_site = match self.net.stars[*star].origin {
                    Origin::Site(from) => from,
                    Origin::Stage(stage) => self.site(stage),
                };
                cost += self
                    .net
                    .price(links, &self.net.stars[*star], from_site, site);
            }
        }
        for star in &node.makes {
            for to in self.tally.sites(*star) {
                cost += self.net.price(links, &self.net.stars[*star], site, to);
            }
        }
        cost
    }

    /// What the whole placement costs, scaled.
    pub(crate) fn total(&self) -> i64 {
        let own_sum: i64 = self
            .placement
            .ids()
            .map(|stage| {
                self.instance.stages[stage].choices[self.placement[stage]]
                    .cost
                    .0
                    * self.net.scale
            })
            .sum();
        let transfers = self.net.stars.iter_enumerated().map(|(index, star)| {
            let from_site = match star.origin {
                Origin::Site(from) => from,
                Origin::Stage(stage) => self.site(stage),
            };
            let to_sites = self.tally.sites(index);
            to_sites
                .map(|to| self.net.price(&self.instance.links, star, from_site, to))
                .sum::<i64>()
        });
        own_sum + transfers.sum::<i64>()
    }

    /// By choice of a stage: its cost with all transfers, and the longest path through it.
    pub(super) fn options(&self, stage: StageId, allowed: &[ChoiceId]) -> Vec<MoveOption> {
        // Choices come by site.
        let mut known_arrival: Option<(SiteId, i64, i64)> = None;
        let choices = &self.instance.stages[stage].choices;
        let mut options = Vec::with_capacity(allowed.len());
        for pick in allowed {
            let choice = choices[*pick];
            let (transfers, path) = match known_arrival {
                Some((site, transfers, path)) if site == choice.site => (transfers, path),
                _ => {
                    let path =
                        self.ready(stage, choice.site) + self.remaining_time(stage, choice.site);
                    let transfers = self.transfer_cost(stage, choice.site);
                    known_arrival = Some((choice.site, transfers, path));
                    (transfers, path)
                }
            };
            options.push(MoveOption {
                cost: choice.cost.0 * self.net.scale + transfers,
                path: path + choice.duration.signed(),
                pick: *pick,
            });
        }
        options
    }

    /// Makes a late placement shorter, each time where a millisecond costs least, until it is in
    /// time. `false`: it cannot. Stages on other late paths for which it costs little more move in
    /// the same round, so that wide DAGs need few rounds. `stay`: every stage stays at its site.
    pub(crate) fn repair(
        &mut self,
        deadline: i64,
        allowed: &AllowedChoices,
        stay: bool,
        visits: &mut usize,
    ) -> bool {
        while self.makespan() > deadline {
            let mut moves_found: Vec<PricedMove> = Vec::new();
            for (stage, allowed) in allowed.iter_enumerated() {
                let path = self.end(stage) + self.tail[stage];
                if path <= deadline {
                    continue;
                }
                let work = allowed.len();
                if *visits < work {
                    return false;
                }
                *visits -= work;
                let option_now = self.now(stage);
                let site = self.site(stage);
                let is_here =
                    |pick: &ChoiceId| self.instance.stages[stage].choices[*pick].site == site;
                let near_choices: Vec<ChoiceId> = if stay {
                    allowed.iter().copied().filter(is_here).collect()
                } else {
                    Vec::new()
                };
                let options = self.options(stage, if stay { &near_choices } else { allowed });
                let faster = options.into_iter().filter(|option| option.path < path);
                let priced_move = faster.map(|option| PricedMove {
                    price: Price {
                        cost: (option.cost - option_now).max(0),
                        time: (path - option.path).min(path - deadline),
                    },
                    stage,
                    pick: option.pick,
                });
                moves_found.extend(priced_move.min_by(|a, b| a.price.compare(&b.price)));
            }
            moves_found.sort_by(|a, b| a.price.compare(&b.price));
            let Some(least) = moves_found.first().map(|found| found.price) else {
                return false;
            };
            let dearest = Price {
                cost: least.cost.saturating_add(least.cost / DEARER),
                ..least
            };
            let makespan_before = self.makespan();
            let mut any_moved = false;
            for PricedMove { price, stage, pick } in moves_found {
                if price.compare(&dearest).is_gt() {
                    break;
                }
                if self.end(stage) + self.tail[stage] > deadline {
                    self.put(stage, pick);
                    self.schedule();
                    any_moved = true;
                    *visits = visits.saturating_sub(self.placement.len());
                }
            }
            // Moves of neighbours may undo each other.
            if !any_moved || (*visits == 0 && self.makespan() >= makespan_before) {
                return false;
            }
        }
        true
    }

    /// What a stage costs now, with all transfers that it causes.
    pub(super) fn now(&self, stage: StageId) -> i64 {
        let choice = self.instance.stages[stage].choices[self.placement[stage]];
        choice.cost.0 * self.net.scale + self.transfer_cost(stage, choice.site)
    }

    /// Moves single stages to where they cost least in time, until no move helps.
    pub(crate) fn settle(&mut self, deadline: i64, allowed: &AllowedChoices, visits: &mut usize) {
        loop {
            let mut any_moved = false;
            for (stage, allowed) in allowed.iter_enumerated() {
                if allowed.len() < 2 {
                    continue;
                }
                if *visits < allowed.len() {
                    return;
                }
                *visits -= allowed.len();
                let option_now = self.now(stage);
                let options = self.options(stage, allowed);
                let best_option = options
                    .into_iter()
                    .filter(|option| option.path <= deadline && option.cost < option_now)
                    .min();
                if let Some(best) = best_option {
                    self.put(stage, best.pick);
                    self.schedule();
                    *visits = visits.saturating_sub(self.placement.len() * 8);
                    any_moved = true;
                }
            }
            if !any_moved {
                return;
            }
        }
    }
}

impl TimedPlacement<'_> {
    /// Moves single stages on longest paths so that a placement becomes shorter, or fewer stages
    /// are on such paths, and its scaled cost stays within `limit`. `allowed`: by stage, choices to
    /// move to.
    pub(crate) fn shorten(&mut self, limit: i64, allowed: &AllowedChoices, visits: &mut usize) {
        let mut total_cost = self.total();
        let mut known_length = self.length();
        loop {
            let mut any_moved = false;
            for (stage, allowed) in allowed.iter_enumerated() {
                if allowed.len() < 2 || self.end(stage) + self.tail[stage] < known_length.0 {
                    continue;
                }
                let work = allowed.len() + self.placement.len();
                if *visits < work {
                    return;
                }
                *visits -= work;
                let option_now = self.now(stage);
                let is_within = |option: &MoveOption| {
                    option.path < known_length.0 && total_cost - option_now + option.cost <= limit
                };
                let options = self.options(stage, allowed).into_iter().filter(is_within);
                let shortest = options.min_by_key(|option| (option.path, option.cost, option.pick));
                let Some(MoveOption { cost, pick, .. }) = shortest else {
                    continue;
                };
                let choice_before = self.placement[stage];
                self.put(stage, pick);
                self.schedule();
                let length = self.length();
                if length < known_length {
                    (known_length, total_cost, any_moved) =
                        (length, total_cost - option_now + cost, true);
                } else {
                    self.put(stage, choice_before);
                    self.schedule();
                }
            }
            if !any_moved {
                return;
            }
        }
    }

    /// Moves single stages to choices that come before theirs, the first that keeps the scaled cost
    /// and the makespan within limits.
    pub(crate) fn nudge(&mut self, cost: i64, time: i64) {
        let mut total_cost = self.total();
        for stage in self.placement.ids() {
            let choices_before: Vec<ChoiceId> =
                ChoiceId::below(self.placement[stage].index()).collect();
            let cost_now = self.now(stage);
            let is_within = |option: &MoveOption| {
                total_cost - cost_now + option.cost <= cost && option.path <= time
            };
            if let Some(option) = self
                .options(stage, &choices_before)
                .into_iter()
                .find(is_within)
            {
                self.put(stage, option.pick);
                self.schedule();
                total_cost += option.cost - cost_now;
            }
        }
    }

    /// The makespan, and how many stages are on paths as long.
    fn length(&self) -> (i64, usize) {
        let makespan = self.makespan();
        (
            makespan,
            self.end
                .iter()
                .zip(&self.tail)
                .filter(|(end, tail)| end.signed() + *tail >= makespan)
                .count(),
        )
    }
}

/// How much dearer a move may be that is made in the same round: by this part.
const DEARER: i64 = 20;

/// Cost of time saved.
#[derive(Clone, Copy)]
struct Price {
    cost: i64,
    time: i64,
}

impl Price {
    fn compare(&self, other: &Self) -> std::cmp::Ordering {
        let (a, b) = (
            i128::from(self.cost) * i128::from(other.time),
            i128::from(other.cost) * i128::from(self.time),
        );
        a.cmp(&b)
    }
}
