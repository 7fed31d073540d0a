//! Ends of stages, linear in the choices.

use super::pools::gcd;
use super::{Builder, Target};
use crate::model::units::{MS_PER_HOUR, signed_count};
use crate::model::{Bytes, Millis};
use crate::planning::problem::ids::{ArtifactId, ColumnId, SiteId, StageId};
use crate::planning::problem::instance::{Origin, StageInput};
use crate::planning::problem::program::Terms;
use crate::util::id_vec::IdVec;
use std::collections::{BTreeMap, BTreeSet};

impl Builder<'_> {
    /// Ends of stages, and the makespan, whose column is returned.
    pub(super) fn schedule(&mut self, target: &Target<'_>) -> ColumnId {
        let limit = target.time_limit.map(Millis::signed);
        let end_columns: IdVec<StageId, ColumnId> = (self.instance.stages.iter())
            .map(|stage| {
                let own_deadline = stage.deadline.filter(|_| target.stage_deadlines);
                let own_deadline = own_deadline.map(Millis::signed);
                let latest_end = limit.into_iter().chain(own_deadline).min();
                self.program
                    .column(format!("end[{}]", stage.label), latest_end, false)
            })
            .collect();
        let makespan = self.program.column("makespan".to_owned(), limit, false);
        let horizon = self.horizon();
        let arrivals = self.arrivals(&end_columns, horizon);
        let inputs = self.shape.inputs.clone();
        for (stage, inputs) in inputs.iter_enumerated() {
            let label = self.instance.stages[stage].label.clone();
            self.program.row(
                format!("last[{label}]"),
                Some(0),
                None,
                vec![(makespan, 1), (end_columns[stage], -1)],
            );
            // start = end - duration >= 0
            let durations = self.choice[stage]
                .iter()
                .zip(&self.instance.stages[stage].choices);
            let mut start: Terms = durations
                .map(|(column, choice)| (*column, -choice.duration.signed()))
                .collect();
            start.push((end_columns[stage], 1));
            self.program
                .row(format!("start[{label}]"), Some(0), None, start.clone());
            for StageInput { origin, artifact } in inputs {
                match artifact.and_then(|artifact| Some((artifact, arrivals.get(&artifact)?))) {
                    Some((artifact, arrivals)) => {
                        self.await_arrival(stage, artifact, arrivals, &start, &end_columns, horizon)
                    }
                    None => self.wait(stage, *origin, *artifact, &start, &end_columns),
                }
            }
        }
        makespan
    }

    /// `start >= end of the source + time of the transfer`, for every site that the source may be
    /// at.
    fn wait(
        &mut self,
        stage: StageId,
        origin: Origin,
        artifact: Option<ArtifactId>,
        start: &Terms,
        ends: &IdVec<StageId, ColumnId>,
    ) {
        let label = self.instance.stages[stage].label.clone();
        let transfer_times = |builder: &Self, from: SiteId| -> Vec<(SiteId, i64)> {
            let bytes = artifact.map_or(Bytes(0), |artifact| {
                builder.instance.artifacts[artifact].link_bytes
            });
            builder.at[stage]
                .keys()
                .map(|to| (*to, builder.instance.links.time(from, *to, bytes).signed()))
                .collect()
        };
        let source = match origin {
            Origin::Site(site) => {
                // Without data there is nothing at a site to wait for.
                let Some(artifact) = artifact else { return };
                let mut wait_row = start.clone();
                for (to, time) in transfer_times(self, site) {
                    wait_row.extend(self.runs_at(stage, to, -time));
                }
                return self.program.row(
                    format!("fetch[{label},{artifact}]"),
                    Some(0),
                    None,
                    wait_row,
                );
            }
            Origin::Stage(source) => source,
        };
        let name = match artifact {
            Some(artifact) => self.instance.artifacts[artifact].label.clone(),
            None => self.instance.stages[source].label.clone(),
        };
        let sites: Vec<SiteId> = self.at[source].keys().copied().collect();
        let times: Vec<(SiteId, Vec<(SiteId, i64)>)> = sites
            .iter()
            .map(|from| (*from, transfer_times(self, *from)))
            .collect();
        if times
            .iter()
            .flat_map(|(_, times)| times)
            .all(|(_, time)| *time == 0)
        {
            let mut wait_row = start.clone();
            wait_row.push((ends[source], -1));
            return self
                .program
                .row(format!("wait[{name}>{label}]"), Some(0), None, wait_row);
        }
        for (from, times) in times {
            // start - end(source) - Σ time·(reader at to) + longest·(1 - source at from) >= 0
            let longest_time = times.iter().map(|(_, time)| *time).fold(0, i64::max);
            let mut wait_row = start.clone();
            wait_row.push((ends[source], -1));
            for (to, time) in times {
                wait_row.extend(self.runs_at(stage, to, -time));
            }
            wait_row.extend(self.runs_at(source, from, -longest_time));
            let site = self.instance.links.labels[from].clone();
            self.program.row(
                format!("wait[{name}>{label},{site}]"),
                Some(-longest_time),
                None,
                wait_row,
            );
        }
    }

    /// No stage ends later than this in any schedule without idling.
    fn horizon(&self) -> i64 {
        let stages = self.instance.stages.iter();
        let running_time: i64 = stages
            .map(|stage| {
                stage
                    .choices
                    .iter()
                    .map(|choice| choice.duration.signed())
                    .fold(0, i64::max)
            })
            .sum();
        let sites: BTreeSet<SiteId> = self.at.iter().flat_map(|at| at.keys().copied()).collect();
        let origins = self
            .instance
            .artifacts
            .iter()
            .filter_map(|artifact| match artifact.origin {
                Origin::Site(site) => Some(site),
                Origin::Stage(_) => None,
            });
        let froms: BTreeSet<SiteId> = sites.iter().copied().chain(origins).collect();
        let longest_travel = |bytes| {
            let pairs = froms
                .iter()
                .flat_map(|from| sites.iter().map(move |to| (*from, *to)));
            pairs
                .map(|(from, to)| self.instance.links.time(from, to, bytes).signed())
                .fold(0, i64::max)
        };
        let transfers = self.instance.artifacts.iter().map(|artifact| {
            longest_travel(artifact.link_bytes).saturating_mul(signed_count(artifact.readers.len()))
        });
        transfers.fold(running_time, i64::saturating_add)
    }

    /// For artifacts that may be relayed: by site, when they have arrived there.
    fn arrivals(
        &mut self,
        ends: &IdVec<StageId, ColumnId>,
        horizon: i64,
    ) -> BTreeMap<ArtifactId, BTreeMap<SiteId, ColumnId>> {
        let mut arrivals: BTreeMap<ArtifactId, BTreeMap<SiteId, ColumnId>> = BTreeMap::new();
        let relayed: BTreeSet<ArtifactId> =
            self.relays.iter().map(|relay| relay.artifact).collect();
        for index in relayed {
            let arrival_columns = self.arrival_columns(index);
            self.direct_arrivals(index, &arrival_columns, ends);
            self.relayed_arrivals(index, &arrival_columns, horizon);
            arrivals.insert(index, arrival_columns);
        }
        arrivals
    }

    /// By site that may read an artifact: the column of the time when the artifact is there.
    fn arrival_columns(&mut self, index: ArtifactId) -> BTreeMap<SiteId, ColumnId> {
        let artifact = &self.instance.artifacts[index];
        let destinations: BTreeSet<SiteId> = artifact
            .readers
            .iter()
            .flat_map(|reader| self.at[*reader].keys().copied())
            .collect();
        let mut columns = BTreeMap::new();
        for site in destinations {
            let label = &self.instance.links.labels[site];
            let name = format!("arrival[{},{label}]", artifact.label);
            columns.insert(site, self.program.column(name, None, false));
        }
        columns
    }

    /// `arrival - end of the source >= time`, unless the source is elsewhere or the transfer is
    /// relayed.
    fn direct_arrivals(
        &mut self,
        index: ArtifactId,
        arrival_columns: &BTreeMap<SiteId, ColumnId>,
        ends: &IdVec<StageId, ColumnId>,
    ) {
        let (artifact, links) = (&self.instance.artifacts[index], &self.instance.links);
        let sources: Vec<SiteId> = match artifact.origin {
            Origin::Site(site) => vec![site],
            Origin::Stage(stage) => self.at[stage].keys().copied().collect(),
        };
        for (to, arrival) in arrival_columns {
            for from in sources.iter().filter(|from| *from != to) {
                let time = links.time(*from, *to, artifact.link_bytes).signed();
                let mut arrival_row = vec![(*arrival, 1)];
                let mut known_columns = 0;
                match artifact.origin {
                    Origin::Site(_) => known_columns = time,
                    Origin::Stage(source) => {
                        arrival_row.push((ends[source], -1));
                        arrival_row.extend(self.runs_at(source, *from, -time));
                    }
                }
                let relays = self
                    .relays
                    .iter()
                    .filter(|relay| relay.artifact == index && relay.to == *to);
                arrival_row.extend(relays.map(|relay| (relay.column, time)));
                let name = format!(
                    "direct[{},{}>{}]",
                    artifact.label, links.labels[*from], links.labels[*to]
                );
                self.program
                    .row(name, Some(known_columns), None, arrival_row);
            }
        }
    }

    /// `arrival - arrival at the holder >= time`, if the transfer is relayed this way.
    fn relayed_arrivals(
        &mut self,
        index: ArtifactId,
        arrival_columns: &BTreeMap<SiteId, ColumnId>,
        horizon: i64,
    ) {
        let (artifact, links) = (&self.instance.artifacts[index], &self.instance.links);
        let relays = self.relays.iter().filter(|relay| relay.artifact == index);
        for relay in relays {
            let time = links.time(relay.holder, relay.to, artifact.link_bytes);
            let relay_row = vec![
                (arrival_columns[&relay.to], 1),
                (arrival_columns[&relay.holder], -1),
                (relay.column, -time.signed() - horizon),
            ];
            let name = format!(
                "via[{},{}>{}]",
                artifact.label, links.labels[relay.holder], links.labels[relay.to]
            );
            self.program.row(name, Some(-horizon), None, relay_row);
        }
    }

    /// `start >= end of the source`, and `start >= arrival` at the site where the stage runs.
    fn await_arrival(
        &mut self,
        stage: StageId,
        artifact: ArtifactId,
        arrivals: &BTreeMap<SiteId, ColumnId>,
        start: &Terms,
        ends: &IdVec<StageId, ColumnId>,
        horizon: i64,
    ) {
        let name = format!(
            "{}>{}",
            self.instance.artifacts[artifact].label, self.instance.stages[stage].label
        );
        let origin = self.instance.artifacts[artifact].origin;
        if let Origin::Stage(source) = origin {
            let mut wait_row = start.clone();
            wait_row.push((ends[source], -1));
            self.program
                .row(format!("wait[{name}]"), Some(0), None, wait_row);
        }
        let sites: Vec<SiteId> = self.at[stage].keys().copied().collect();
        for site in sites {
            // start - arrival + horizon·(1 - at this site) (+ horizon·(the source is here)) >= 0
            let mut wait_row = start.clone();
            wait_row.push((arrivals[&site], -1));
            wait_row.extend(self.runs_at(stage, site, -horizon));
            let mut least_start = -horizon;
            match origin {
                Origin::Stage(source) => wait_row.extend(self.runs_at(source, site, horizon)),
                Origin::Site(from) if from == site => least_start = -horizon - horizon,
                Origin::Site(_) => {}
            }
            let label = self.instance.links.labels[site].clone();
            self.program.row(
                format!("arrived[{name},{label}]"),
                Some(least_start),
                None,
                wait_row,
            );
        }
    }

    /// The worth of the makespan in micro-USD, whose column is returned.
    pub(super) fn worth(&mut self, makespan: ColumnId) -> ColumnId {
        let worth_column = self.program.column("worth".to_owned(), None, false);
        const PER_HOUR: i64 = MS_PER_HOUR as i64;
        // Small coefficients: a solver's sums of large ones are off by more than it tolerates.
        let common_divisor = gcd(PER_HOUR.unsigned_abs(), self.instance.hour.0.unsigned_abs());
        // A divisor of the milliseconds of an hour.
        let common_divisor = common_divisor as i64;
        let worth_row = vec![
            (worth_column, PER_HOUR / common_divisor),
            (makespan, -self.instance.hour.0 / common_divisor),
        ];
        self.program
            .row("worth".to_owned(), Some(0), None, worth_row);
        worth_column
    }
}
