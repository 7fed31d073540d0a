//! Where the readers of each star are.

/// By star: sites with readers, and how many; few, so that a list is fastest.
#[derive(Clone, Debug)]
pub(crate) struct ReaderTally(Vec<Vec<(usize, u32)>>);

impl ReaderTally {
    pub(crate) fn new(stars: usize) -> Self {
        Self(vec![Vec::new(); stars])
    }

    pub(crate) fn add(&mut self, star: usize, site: usize) {
        match self.0[star].iter_mut().find(|(at, _)| *at == site) {
            Some((_, count)) => *count += 1,
            None => self.0[star].push((site, 1)),
        }
    }

    pub(crate) fn remove(&mut self, star: usize, site: usize) {
        if let Some(index) = self.0[star].iter().position(|(at, _)| *at == site) {
            self.0[star][index].1 -= 1;
            if self.0[star][index].1 == 0 {
                self.0[star].swap_remove(index);
            }
        }
    }

    /// Readers of a star at a site.
    pub(crate) fn at(&self, star: usize, site: usize) -> u32 {
        self.0[star]
            .iter()
            .find(|(at, _)| *at == site)
            .map_or(0, |(_, count)| *count)
    }

    /// Sites with readers of a star.
    pub(crate) fn sites(&self, star: usize) -> impl Iterator<Item = usize> {
        self.0[star].iter().map(|(site, _)| *site)
    }
}
