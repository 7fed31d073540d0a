//! The smallest set that has a member of each of some sets.

use std::collections::BTreeSet;

/// Branches before the search gives up.
const BRANCHES: usize = 200_000;

/// A smallest set that meets all `sets` (none of them empty); of several the one that
/// is found first, in rising order of members. `None`: the work was too much.
pub(super) fn smallest<T: Copy + Ord>(sets: &[BTreeSet<T>]) -> Option<BTreeSet<T>> {
    let mut branches_left = BRANCHES;
    for size in 0..=sets.len() {
        match extend_set(sets, &mut BTreeSet::new(), size, &mut branches_left) {
            Search::Found(found) => return Some(found),
            Search::None => {}
            Search::GaveUp => return None,
        }
    }
    None
}

enum Search<T> {
    Found(BTreeSet<T>),
    None,
    GaveUp,
}

/// Adds at most `more` members to `taken`.
fn extend_set<T: Copy + Ord>(
    sets: &[BTreeSet<T>],
    taken_items: &mut BTreeSet<T>,
    most_more: usize,
    branches_left: &mut usize,
) -> Search<T> {
    let missed: Vec<&BTreeSet<T>> = sets
        .iter()
        .filter(|set| set.is_disjoint(taken_items))
        .collect();
    let Some(next) = missed.iter().min_by_key(|set| set.len()) else {
        return Search::Found(taken_items.clone());
    };
    if disjoint_sets(&missed) > most_more {
        return Search::None;
    }
    for member in next.iter() {
        if *branches_left == 0 {
            return Search::GaveUp;
        }
        *branches_left -= 1;
        taken_items.insert(*member);
        let found_set = extend_set(sets, taken_items, most_more - 1, branches_left);
        taken_items.remove(member);
        if !matches!(found_set, Search::None) {
            return found_set;
        }
    }
    Search::None
}

/// A number of sets of which no two share a member: each needs one of its own.
fn disjoint_sets<T: Copy + Ord>(sets: &[&BTreeSet<T>]) -> usize {
    let mut seen_items: BTreeSet<T> = BTreeSet::new();
    let mut count = 0;
    for set in sets {
        if set.is_disjoint(&seen_items) {
            seen_items.extend(set.iter());
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
        assert_eq!(smallest::<usize>(&[]), Some(BTreeSet::new()));
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
