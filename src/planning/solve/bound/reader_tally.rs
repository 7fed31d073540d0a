//! Where the readers of each star are.

use crate::planning::problem::SiteId;
use crate::planning::solve::bound::network::StarId;
use crate::util::id_vec::IdVec;

/// By star: sites with readers, and how many; few, so that a list is fastest.
#[derive(Clone, Debug)]
pub(crate) struct ReaderTally(IdVec<StarId, Vec<(SiteId, u32)>>);

impl ReaderTally {
    pub(crate) fn new(stars: usize) -> Self {
        Self(IdVec::filled(Vec::new(), stars))
    }

    pub(crate) fn add(&mut self, star: StarId, site: SiteId) {
        match self.0[star].iter_mut().find(|(at, _)| *at == site) {
            Some((_, count)) => *count += 1,
            None => self.0[star].push((site, 1)),
        }
    }

    pub(crate) fn remove(&mut self, star: StarId, site: SiteId) {
        if let Some(index) = self.0[star].iter().position(|(at, _)| *at == site) {
            self.0[star][index].1 -= 1;
            if self.0[star][index].1 == 0 {
                self.0[star].swap_remove(index);
            }
        }
    }

    /// Readers of a star at a site.
    pub(crate) fn at(&self, star: StarId, site: SiteId) -> u32 {
        self.0[star]
            .iter()
            .find(|(at, _)| *at == site)
            .map_or(0, |(_, count)| *count)
    }

    /// Sites with readers of a star.
    pub(crate) fn sites(&self, star: StarId) -> impl Iterator<Item = SiteId> {
        self.0[star].iter().map(|(site, _)| *site)
    }
}
