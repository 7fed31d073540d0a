//! The smallest set that has a member of each of some sets.

use std::collections::BTreeSet;

/// Branches before the search gives up.
const BRANCHES: usize = 200_000;

/// A smallest set of numbers that meets all `sets` (none of them empty); of several the one that
/// is found first, in rising order of numbers. `None`: the work was too much.
pub(super) fn smallest(sets: &[BTreeSet<usize>]) -> Option<BTreeSet<usize>> {
    let mut left = BRANCHES;
    for size in 0..=sets.len() {
        match extend(sets, &mut BTreeSet::new(), size, &mut left) {
            Search::Found(found) => return Some(found),
            Search::None => {}
            Search::GaveUp => return None,
        }
    }
    None
}

enum Search {
    Found(BTreeSet<usize>),
    None,
    GaveUp,
}

/// Adds at most `more` members to `taken`.
fn extend(
    sets: &[BTreeSet<usize>],
    taken: &mut BTreeSet<usize>,
    more: usize,
    left: &mut usize,
) -> Search {
    let missed: Vec<&BTreeSet<usize>> = sets.iter().filter(|set| set.is_disjoint(taken)).collect();
    let Some(next) = missed.iter().min_by_key(|set| set.len()) else {
        return Search::Found(taken.clone());
    };
    if apart(&missed) > more {
        return Search::None;
    }
    for member in next.iter() {
        if *left == 0 {
            return Search::GaveUp;
        }
        *left -= 1;
        taken.insert(*member);
        let found = extend(sets, taken, more - 1, left);
        taken.remove(member);
        if !matches!(found, Search::None) {
            return found;
        }
    }
    Search::None
}

/// A number of sets of which no two share a member: each needs one of its own.
fn apart(sets: &[&BTreeSet<usize>]) -> usize {
    let mut seen: BTreeSet<usize> = BTreeSet::new();
    let mut count = 0;
    for set in sets {
        if set.is_disjoint(&seen) {
            seen.extend(set.iter());
            count += 1;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sets(lists: &[&[usize]]) -> Vec<BTreeSet<usize>> {
        lists
            .iter()
            .map(|list| list.iter().copied().collect())
            .collect()
    }

    #[test]
    fn small_cases() {
        assert_eq!(smallest(&[]), Some(BTreeSet::new()));
        assert_eq!(
            smallest(&sets(&[&[3], &[1, 2], &[2, 4]])),
            Some(BTreeSet::from([2, 3]))
        );
        assert_eq!(
            smallest(&sets(&[&[0, 1], &[1, 2], &[2, 0]])),
            Some(BTreeSet::from([0, 1]))
        );
    }

    #[test]
    fn it_is_the_smallest_of_all() {
        // All families of three sets over four numbers.
        let all: Vec<BTreeSet<usize>> = (1..16_usize)
            .map(|bits| (0..4).filter(|bit| bits >> bit & 1 == 1).collect())
            .collect();
        for a in &all {
            for b in &all {
                for c in &all {
                    let family = [a.clone(), b.clone(), c.clone()];
                    let hits =
                        |taken: &BTreeSet<usize>| family.iter().all(|set| !set.is_disjoint(taken));
                    let least = all
                        .iter()
                        .filter(|taken| hits(taken))
                        .map(BTreeSet::len)
                        .min()
                        .unwrap();
                    let found = smallest(&family).unwrap();
                    assert!(hits(&found) && found.len() == least, "{family:?} {found:?}");
                }
            }
        }
    }
}
