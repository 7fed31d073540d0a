//! Transfers of artifacts, and what they cost.

use super::Builder;
use super::relays::RelayedArtifact;
use crate::model::Money;
use crate::planning::problem::ids::{ArtifactId, ColumnId, PriceId, SiteId, StageId};
use crate::planning::problem::instance::{Artifact, Origin};
use crate::planning::problem::price_groups::{PriceGroups, price_groups};
use crate::planning::problem::program::Terms;
use std::collections::{BTreeMap, BTreeSet};

impl Builder<'_> {
    /// Transfers of one artifact, and what they cost.
    pub(super) fn artifact(&mut self, index: ArtifactId, artifact: &Artifact) {
        let destinations: Vec<SiteId> = {
            let all_sites: BTreeSet<SiteId> = artifact
                .readers
                .iter()
                .flat_map(|reader| self.at[*reader].keys().copied())
                .collect();
            all_sites.into_iter().collect()
        };
        let sources: Vec<SiteId> = match artifact.origin {
            Origin::Site(site) => vec![site],
            Origin::Stage(stage) => self.at[stage].keys().copied().collect(),
        };
        let groups = price_groups(&self.instance.links, &sources, &destinations);
        let has_prices = groups
            .class
            .iter()
            .flatten()
            .any(|class| class.is_none_or(|class| !self.free(class, artifact)));
        if destinations.is_empty() || !has_prices {
            return;
        }
        let present_terms: BTreeMap<SiteId, Terms> = destinations
            .iter()
            .map(|site| (*site, self.present(index, artifact, *site)))
            .collect();
        if artifact.readers.len() == 1 {
            self.single(artifact, &sources, &groups, &present_terms);
        } else {
            self.multicast(index, artifact, &sources, &groups, &present_terms);
        }
    }

    fn free(&self, class: PriceId, artifact: &Artifact) -> bool {
        let price = &self.instance.links.tariffs[class];
        price.pool.is_none() && price.cost(artifact.bytes) == Money(0)
    }

    /// Charges a transfer by its price class: at once, or as volume of its pool.
    pub(super) fn charge(&mut self, transfer: ColumnId, class: PriceId, artifact: &Artifact) {
        let price = &self.instance.links.tariffs[class];
        match price.pool {
            None => self.cost.push((transfer, price.cost(artifact.bytes).0)),
            Some(pool) => {
                self.cost.push((transfer, price.kept(artifact.bytes).0));
                self.volumes[pool].push((transfer, artifact.bytes.signed()));
            }
        }
    }

    /// "The artifact is read at this site": the readers' own choices when only one may be here,
    /// else a variable that each of them pulls up.
    fn present(&mut self, index: ArtifactId, artifact: &Artifact, site: SiteId) -> Terms {
        let readers: Vec<StageId> = artifact
            .readers
            .iter()
            .copied()
            .filter(|reader| self.at[*reader].contains_key(&site))
            .collect();
        if let [reader] = readers[..] {
            return self.runs_at(reader, site, 1);
        }
        let label = self.instance.links.labels[site].clone();
        let column =
            self.program
                .column(format!("read[{},{label}]", artifact.label), Some(1), false);
        for reader in readers {
            let mut terms = self.runs_at(reader, site, -1);
            terms.push((column, 1));
            self.program.row(
                format!("read[{},{label},{index}.{reader}]", artifact.label),
                Some(0),
                None,
                terms,
            );
        }
        vec![(column, 1)]
    }

    /// "The artifact's source is at this site", `factor` times, as terms and a constant.
    pub(super) fn source_at(&self, artifact: &Artifact, site: SiteId, factor: i64) -> (Terms, i64) {
        match artifact.origin {
            Origin::Site(at) => (Vec::new(), if at == site { factor } else { 0 }),
            Origin::Stage(stage) => (self.runs_at(stage, site, factor), 0),
        }
    }

    /// "The artifact's source is in this group of sites", negated, as terms and a constant.
    fn source_in(&self, artifact: &Artifact, group: &[SiteId]) -> (Terms, i64) {
        let mut source_sum = (Terms::new(), 0);
        for source in group {
            let (terms, constant) = self.source_at(artifact, *source, -1);
            source_sum.0.extend(terms);
            source_sum.1 += constant;
        }
        source_sum
    }

    /// A free variable per site that both makes and reads the artifact: it may stay.
    fn stays(
        &mut self,
        artifact: &Artifact,
        sources: &[SiteId],
        present: &BTreeMap<SiteId, Terms>,
    ) -> BTreeMap<SiteId, ColumnId> {
        let mut stay_columns = BTreeMap::new();
        for (site, present) in present.iter().filter(|(site, _)| sources.contains(site)) {
            let label = self.instance.links.labels[*site].clone();
            let column =
                self.program
                    .column(format!("stay[{},{label}]", artifact.label), Some(1), false);
            let (mut source, constant) = self.source_at(artifact, *site, -1);
            source.push((column, 1));
            self.program.row(
                format!("stay-from[{},{label}]", artifact.label),
                None,
                Some(-constant),
                source,
            );
            let mut reader: Terms = present
                .iter()
                .map(|(column, factor)| (*column, -factor))
                .collect();
            reader.push((column, 1));
            self.program.row(
                format!("stay-to[{},{label}]", artifact.label),
                None,
                Some(0),
                reader,
            );
            stay_columns.insert(*site, column);
        }
        stay_columns
    }

    /// One reader: a transport from groups of sources to groups of destinations.
    fn single(
        &mut self,
        artifact: &Artifact,
        sources: &[SiteId],
        groups: &PriceGroups,
        present: &BTreeMap<SiteId, Terms>,
    ) {
        let stay_columns = self.stays(artifact, sources, present);
        let mut terms_into: Vec<Terms> = vec![Vec::new(); groups.destinations.len()];
        for (row, group) in groups.sources.iter().enumerate() {
            let (mut balance, known) = self.source_in(artifact, group);
            balance.extend(
                group
                    .iter()
                    .filter_map(|source| stay_columns.get(source))
                    .map(|stay| (*stay, 1)),
            );
            for (column, class) in groups.class[row].iter().enumerate() {
                let Some(class) = class else { continue };
                let flow = self.program.column(
                    format!("move[{},{row}>{column}]", artifact.label),
                    Some(1),
                    false,
                );
                self.charge(flow, *class, artifact);
                balance.push((flow, 1));
                terms_into[column].push((flow, 1));
            }
            self.program.row(
                format!("leave[{},{row}]", artifact.label),
                Some(-known),
                Some(-known),
                balance,
            );
        }
        for (column, group) in groups.destinations.iter().enumerate() {
            let mut balance = std::mem::take(&mut terms_into[column]);
            for destination in group {
                balance.extend(stay_columns.get(destination).map(|stay| (*stay, 1)));
                balance.extend(
                    present[destination]
                        .iter()
                        .map(|(column, factor)| (*column, -factor)),
                );
            }
            self.program.row(
                format!("arrive[{},{column}]", artifact.label),
                Some(0),
                Some(0),
                balance,
            );
        }
    }

    /// Several readers: every site that reads gets the artifact once, from the group where it is
    /// made, or from another site that gets it.
    fn multicast(
        &mut self,
        index: ArtifactId,
        artifact: &Artifact,
        sources: &[SiteId],
        groups: &PriceGroups,
        present: &BTreeMap<SiteId, Terms>,
    ) {
        let stay_columns = self.stays(artifact, sources, present);
        let relays = self.relays(&RelayedArtifact {
            index,
            artifact,
            sources,
            present,
        });
        let group_of: BTreeMap<SiteId, usize> = groups
            .destinations
            .iter()
            .enumerate()
            .flat_map(|(group, members)| members.iter().map(move |m| (*m, group)))
            .collect();
        for (site, present) in present {
            let label = self.instance.links.labels[*site].clone();
            let mut arrivals: Terms = present
                .iter()
                .map(|(column, factor)| (*column, -factor))
                .collect();
            arrivals.extend(stay_columns.get(site).map(|stay| (*stay, 1)));
            arrivals.extend(
                relays
                    .iter()
                    .filter(|relay| relay.to == *site)
                    .map(|relay| (relay.column, 1)),
            );
            for (row, group) in groups.sources.iter().enumerate() {
                let Some(class) = groups.class[row][group_of[site]] else {
                    continue;
                };
                let flow = self.program.column(
                    format!("move[{},{row}>{label}]", artifact.label),
                    Some(1),
                    false,
                );
                self.charge(flow, class, artifact);
                arrivals.push((flow, 1));
                let (mut from, known) = self.source_in(artifact, group);
                from.push((flow, 1));
                self.program.row(
                    format!("from[{},{row}>{label}]", artifact.label),
                    None,
                    Some(-known),
                    from,
                );
            }
            self.program.row(
                format!("arrive[{},{label}]", artifact.label),
                Some(0),
                None,
                arrivals,
            );
        }
    }
}
