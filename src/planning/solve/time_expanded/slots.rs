//! Slots: pieces of the time line, narrowed to the times that are found in them.

use crate::planning::problem::StageId;
use crate::util::id_vec::IdVec;
use std::ops::Range;

/// Slots of one stage, by position of the site.
#[derive(Clone, Debug, Default)]
pub(super) struct Times {
    /// Where the slots of a site begin in the lists below; one more at the end.
    pub at: Vec<usize>,
    /// Earliest time in the slot.
    pub first: Vec<i64>,
    /// Latest time in the slot.
    pub last: Vec<i64>,
    /// The slot of the coarser grid that it is a part of.
    pub parent: Vec<usize>,
}

impl Times {
    pub(super) fn range(&self, position: usize) -> Range<usize> {
        self.at[position]..self.at[position + 1]
    }

    pub(super) fn len(&self) -> usize {
        self.first.len()
    }

    /// The first slot at a site that is not over by `time`.
    pub(super) fn not_over(&self, position: usize, time: i64) -> Option<usize> {
        let range = self.range(position);
        let slots_before = self.last[range.clone()].partition_point(|last| *last < time);
        (slots_before < range.len()).then_some(range.start + slots_before)
    }
}

/// Something by stage and slot.
#[derive(Clone, Debug)]
pub(super) struct BySlot<T> {
    pub start: IdVec<StageId, Vec<T>>,
    pub end: IdVec<StageId, Vec<T>>,
}

/// What becomes of a slot in a finer grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// No placement worth looking for is in it.
    Dead,
    Whole,
    Halved,
}

/// Slots of a site in the first grid.
const SLOTS: i64 = 4;

/// Slots of one site as they are found.
pub(super) struct Slots {
    /// First and last time that may be in a slot, and the coarser slot.
    pieces: Vec<(i64, i64, usize)>,
    /// First and last time that are.
    found: Vec<(i64, i64)>,
}

const NONE: (i64, i64) = (i64::MAX, i64::MIN);

impl Slots {
    /// Equal pieces of a time.
    pub(super) fn new(earliest: i64, latest: i64) -> Self {
        let length = ((latest - earliest) / SLOTS).max(0) + 1;
        let first_slots = (0..SLOTS)
            .map(|number| earliest + number * length)
            .filter(|first| *first <= latest);
        Self::of(
            first_slots
                .map(|first| (first, first + length - 1, 0))
                .collect(),
        )
    }

    /// Slots of a coarser grid at one site, as their fates are.
    pub(super) fn within(times: &Times, position: usize, fates: &[Fate]) -> Self {
        let mut pieces = Vec::new();
        for slot in times.range(position) {
            let (first, last) = (times.first[slot], times.last[slot]);
            let middle_time = first + (last - first) / 2;
            match fates[slot] {
                Fate::Dead => {}
                Fate::Halved if last > first => {
                    pieces.extend([(first, middle_time, slot), (middle_time + 1, last, slot)])
                }
                Fate::Halved | Fate::Whole => pieces.push((first, last, slot)),
            }
        }
        Self::of(pieces)
    }

    fn of(pieces: Vec<(i64, i64, usize)>) -> Self {
        let found_slots = vec![NONE; pieces.len()];
        Self {
            pieces,
            found: found_slots,
        }
    }

    /// Adds times from `first` to `last`.
    pub(super) fn add(&mut self, first: i64, last: i64) {
        let pieces_over = self.pieces.partition_point(|piece| piece.1 < first);
        for (piece, found) in self.pieces[pieces_over..]
            .iter()
            .zip(&mut self.found[pieces_over..])
        {
            if piece.0 > last {
                return;
            }
            found.0 = found.0.min(first.max(piece.0));
            found.1 = found.1.max(last.min(piece.1));
        }
    }

    pub(super) fn into_times(self, times: &mut Times) {
        for ((first, last), (_, _, parent)) in self.found.into_iter().zip(self.pieces) {
            if first <= last {
                times.first.push(first);
                times.last.push(last);
                times.parent.push(parent);
            }
        }
        times.at.push(times.first.len());
    }
}
