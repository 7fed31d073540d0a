//! Volumes that run through the tiers of one bill together.

use super::Builder;
use crate::model::units::saturate;
use crate::model::{Bytes, Tariff};
use crate::planning::problem::ids::ColumnId;
use crate::planning::problem::program::Terms;

impl Builder<'_> {
    /// For every pool: pieces of its tariff, each with its own price, that together hold the volume
    /// of all transfers. A cheaper piece after a dearer one opens only when all before it are full.
    pub(super) fn pools(&mut self) {
        for (index, volume) in std::mem::take(&mut self.volumes).into_iter_enumerated() {
            let most_bytes: u64 = volume.iter().map(|(_, bytes)| bytes.unsigned_abs()).sum();
            if most_bytes == 0 {
                continue;
            }
            let pool = &self.instance.links.pools[index];
            let pieces = tariff_pieces(
                &pool.tariff,
                pool.used.0,
                pool.used.0.saturating_add(most_bytes),
            );
            let unit = pieces.iter().map(|piece| piece.length).fold(0, gcd);
            let unit = volume
                .iter()
                .map(|(_, bytes)| bytes.unsigned_abs())
                .fold(unit, gcd)
                .max(1);
            let units = |bytes: u64| saturate(i128::from(bytes / unit));
            let columns: Vec<ColumnId> = (0..pieces.len())
                .map(|piece| {
                    self.program
                        .column(format!("piece[{index},{piece}]"), Some(1), false)
                })
                .collect();
            let mut held_terms: Terms = volume
                .iter()
                .map(|(transfer, bytes)| (*transfer, -units(bytes.unsigned_abs())))
                .collect();
            held_terms.extend(
                columns
                    .iter()
                    .zip(&pieces)
                    .map(|(column, piece)| (*column, units(piece.length))),
            );
            self.program
                .row(format!("volume[{index}]"), Some(0), None, held_terms);
            self.cost.extend(
                columns
                    .iter()
                    .zip(&pieces)
                    .map(|(column, piece)| (*column, piece.cost)),
            );
            for (place, pair) in pieces.windows(2).enumerate() {
                if !pair[1].cheaper_than(&pair[0]) {
                    continue;
                }
                let open_column =
                    self.program
                        .column(format!("open[{index},{}]", place + 1), Some(1), true);
                for (earlier, column) in columns[..=place].iter().enumerate() {
                    let full_row = vec![(*column, 1), (open_column, -1)];
                    self.program.row(
                        format!("full[{index},{place},{earlier}]"),
                        Some(0),
                        None,
                        full_row,
                    );
                }
                let opened_row = vec![(open_column, 1), (columns[place + 1], -1)];
                self.program.row(
                    format!("opened[{index},{}]", place + 1),
                    Some(0),
                    None,
                    opened_row,
                );
            }
        }
    }
}

/// A stretch of volume at one price.
struct Piece {
    length: u64,
    cost: i64,
}

impl Piece {
    /// Per byte.
    fn cheaper_than(&self, other: &Piece) -> bool {
        i128::from(self.cost) * i128::from(other.length)
            < i128::from(other.cost) * i128::from(self.length)
    }
}

/// The tariff between two volumes, cut at its tiers.
fn tariff_pieces(tariff: &Tariff, from: u64, to: u64) -> Vec<Piece> {
    let inner_thresholds = tariff
        .thresholds()
        .filter(|threshold| (from + 1..to).contains(threshold));
    let cuts: Vec<u64> = std::iter::once(from)
        .chain(inner_thresholds)
        .chain([to])
        .collect();
    let cost = |volume: u64| tariff.cost(Bytes(volume)).0;
    cuts.windows(2)
        .map(|cut| Piece {
            length: cut[1] - cut[0],
            cost: cost(cut[1]) - cost(cut[0]),
        })
        .collect()
}

pub(super) fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
