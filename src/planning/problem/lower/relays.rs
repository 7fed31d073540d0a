//! Transfers that come from another reader's site instead of the origin.

use super::{Builder, Relay};
use crate::model::units::signed_count;
use crate::planning::problem::ids::{ArtifactId, ColumnId, SiteId};
use crate::planning::problem::instance::Artifact;
use crate::planning::problem::program::Terms;
use crate::planning::problem::routes;
use std::collections::BTreeMap;

/// An artifact with several readers, and the sites that it may come from and go to.
pub(super) struct RelayedArtifact<'a> {
    pub index: ArtifactId,
    pub artifact: &'a Artifact,
    pub sources: &'a [SiteId],
    /// By destination: the terms that say whether the artifact is read there.
    pub present: &'a BTreeMap<SiteId, Terms>,
}

impl Builder<'_> {
    /// Relays from one reader's site to another that are cheaper than from some source. Steps from
    /// the origin rise along them, so that they never form a ring.
    pub(super) fn relays(&mut self, relayed_artifact: &RelayedArtifact<'_>) -> Vec<Relay> {
        let mut relays = Vec::new();
        for to in relayed_artifact.present.keys() {
            for (holder, present) in relayed_artifact.present {
                relays.extend(self.relay(relayed_artifact, *holder, *to, present));
            }
        }
        if !relays.is_empty() {
            self.rising_steps(relayed_artifact, &relays);
        }
        self.relays.extend(&relays);
        relays
    }

    /// The relay from one reader's site to another; `None`: the link is forbidden, or cheaper from
    /// no source.
    fn relay(
        &mut self,
        relayed_artifact: &RelayedArtifact<'_>,
        holder: SiteId,
        to: SiteId,
        present: &Terms,
    ) -> Option<Relay> {
        let artifact = relayed_artifact.artifact;
        let is_dearer = |origin: &&SiteId| {
            routes::relayed(self.instance, artifact, **origin, holder, to).is_some()
        };
        let origins: Vec<SiteId> = relayed_artifact
            .sources
            .iter()
            .filter(is_dearer)
            .copied()
            .collect();
        if origins.is_empty() {
            return None;
        }
        let class = self.instance.links.class(holder, to)?;
        let labels = &self.instance.links.labels;
        let name = format!("{},{}>{}", artifact.label, labels[holder], labels[to]);
        let column = self.program.column(format!("relay[{name}]"), Some(1), true);
        self.charge(column, class, artifact);
        self.only_from_holders(artifact, holder, present, &name, column);
        self.only_if_it_saves(artifact, &origins, &name, column);
        Some(Relay {
            artifact: relayed_artifact.index,
            holder,
            to,
            column,
        })
    }

    /// A relay comes from a site where the artifact is read.
    fn only_from_holders(
        &mut self,
        artifact: &Artifact,
        holder: SiteId,
        present: &Terms,
        name: &str,
        relay: ColumnId,
    ) {
        let mut held_terms: Terms = present
            .iter()
            .map(|(column, factor)| (*column, -factor))
            .collect();
        held_terms.push((relay, 1));
        self.program
            .row(format!("held[{name}]"), None, Some(0), held_terms);
        let possible_readers = artifact
            .readers
            .iter()
            .filter(|reader| self.at[**reader].contains_key(&holder))
            .count();
        // Readers pull "read" up and nothing pulls it down: without one, nobody is there.
        if possible_readers > 1 {
            let readers: Terms = (artifact.readers.iter())
                .flat_map(|reader| self.runs_at(*reader, holder, -1))
                .chain([(relay, 1)])
                .collect();
            self.program
                .row(format!("reads[{name}]"), None, Some(0), readers);
        }
    }

    /// A relay is taken only if the source is at a site from which the link is dearer.
    fn only_if_it_saves(
        &mut self,
        artifact: &Artifact,
        origins: &[SiteId],
        name: &str,
        relay: ColumnId,
    ) {
        let mut saves = vec![(relay, 1)];
        let mut known_columns = 0;
        for origin in origins {
            let (terms, constant) = self.source_at(artifact, *origin, -1);
            saves.extend(terms);
            known_columns += constant;
        }
        self.program
            .row(format!("saves[{name}]"), None, Some(-known_columns), saves);
    }

    /// The number of steps from the origin is higher at the end of a relay than at its holder.
    fn rising_steps(&mut self, relayed_artifact: &RelayedArtifact<'_>, relays: &[Relay]) {
        let most_present = signed_count(relayed_artifact.present.len());
        let label = &relayed_artifact.artifact.label;
        let labels = &self.instance.links.labels;
        let mut steps: BTreeMap<SiteId, ColumnId> = BTreeMap::new();
        for site in relayed_artifact.present.keys() {
            let name = format!("step[{label},{}]", labels[*site]);
            steps.insert(*site, self.program.column(name, Some(most_present), false));
        }
        for relay in relays {
            let terms = vec![
                (steps[&relay.to], 1),
                (steps[&relay.holder], -1),
                (relay.column, -most_present - 1),
            ];
            let name = format!(
                "step[{label},{}>{}]",
                labels[relay.holder], labels[relay.to]
            );
            self.program.row(name, Some(-most_present), None, terms);
        }
    }
}
