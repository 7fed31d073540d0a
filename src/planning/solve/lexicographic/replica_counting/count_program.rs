//! The mixed-integer program of counts: how many members of each group take each choice.

use super::choice_effect::ChoiceEffect;
use super::counted::{Counted, Counts, times};
use super::ids::{GroupId, SharedTransferId};
use crate::model::units::signed_count;
use crate::planning::problem::{CapId, ChoiceId, ColumnId, Program, Terms};
use crate::planning::solve::limits::Limits;
use crate::util::id_vec::{Id, IdVec};
use std::collections::BTreeMap;

/// A program of counts, and the column of each choice that may be taken.
pub(super) struct CountProgram {
    pub program: Program,
    /// By group and choice.
    pub columns: IdVec<GroupId, IdVec<ChoiceId, Option<ColumnId>>>,
}

/// By shared transfer and group: the columns of the choices that read what is transferred.
type Readers = BTreeMap<(SharedTransferId, GroupId), Vec<ColumnId>>;

impl Counted {
    /// The program of counts, with the least cost as its objective.
    pub(super) fn program(&self, limits: Limits) -> CountProgram {
        let mut program = Program {
            name: "counted".to_owned(),
            ..Program::default()
        };
        let (mut cost, mut constant) = (Terms::new(), self.base_cost);
        let mut caps: IdVec<CapId, Terms> = self.room.map(|_| Terms::new());
        let mut readers = Readers::new();
        let mut columns = IdVec::with_capacity(self.groups.len());
        for (number, group) in self.groups.iter_enumerated() {
            let member_count = signed_count(group.stages.len());
            let in_time = |choice: &ChoiceEffect| {
                choice.allowed && limits.time.is_none_or(|limit| choice.through <= limit)
            };
            let least_effect = group
                .choices
                .iter()
                .filter(|choice| in_time(choice))
                .map(|choice| choice.cost)
                .min();
            // Without a choice in time the row of the group has no terms, and nothing satisfies it.
            let least_effect = least_effect.unwrap_or_default();
            constant += times(least_effect, member_count);
            let mut of_group = IdVec::with_capacity(group.choices.len());
            for (position, choice) in group.choices.iter_enumerated() {
                let column = in_time(choice).then(|| {
                    program.column(
                        format!("count[{number},{position}]"),
                        Some(member_count),
                        true,
                    )
                });
                if let Some(column) = column {
                    cost.push((column, (choice.cost - least_effect).0));
                    choice
                        .uses
                        .iter()
                        .for_each(|(cap, used)| caps[*cap].push((column, *used)));
                    choice.shared.iter().for_each(|transfer| {
                        readers.entry((*transfer, number)).or_default().push(column)
                    });
                }
                of_group.push(column);
            }
            let all_columns = of_group
                .iter()
                .flatten()
                .map(|column| (*column, 1))
                .collect();
            program.row(
                format!("all[{number}]"),
                Some(member_count),
                Some(member_count),
                all_columns,
            );
            columns.push(of_group);
        }
        self.shared_transfers(&mut program, &mut cost, readers);
        for ((cap, terms), room) in caps.into_iter_enumerated().zip(&self.room) {
            program.row(format!("cap[{cap}]"), None, Some(*room), terms);
        }
        if let Some(limit) = limits.cost {
            program.row(
                "budget".to_owned(),
                None,
                Some((limit - constant).0),
                cost.clone(),
            );
        }
        program.minimize(cost, constant.0);
        CountProgram { program, columns }
    }

    /// One variable for each transfer that several stages share: it is made as soon as one of them
    /// reads it.
    fn shared_transfers(&self, program: &mut Program, cost: &mut Terms, readers: Readers) {
        let mut made_columns: BTreeMap<SharedTransferId, ColumnId> = BTreeMap::new();
        for ((transfer, group), columns) in readers {
            let column = *made_columns.entry(transfer).or_insert_with(|| {
                let column = program.column(format!("transfer[{transfer}]"), Some(1), true);
                cost.push((column, self.transfers[transfer].0));
                column
            });
            let member_count = signed_count(self.groups[group].stages.len());
            let terms = columns
                .into_iter()
                .map(|reader| (reader, -1))
                .chain([(column, member_count)])
                .collect();
            program.row(format!("made[{transfer},{group}]"), Some(0), None, terms);
        }
    }
}

impl CountProgram {
    /// Returns the counts in a point of the program.
    pub(super) fn counts(&self, values: &[f64]) -> Counts {
        let value_of = |column: &Option<ColumnId>| {
            column.map_or(0, |column| values[column.index()].round() as i64)
        };
        self.columns
            .iter()
            .map(|columns| columns.map(value_of))
            .collect()
    }

    /// Has exactly so many members of a group take a choice.
    pub(super) fn fix(&mut self, group: GroupId, position: ChoiceId, count: i64) {
        if let Some(column) = self.columns[group][position] {
            let column = &mut self.program.columns[column];
            (column.lower, column.upper) = (count, Some(count));
        }
    }

    /// Returns whether counts are within the bounds of the columns.
    pub(super) fn keeps_fixed(&self, counts: &Counts) -> bool {
        self.columns
            .iter()
            .flatten()
            .zip(counts.iter().flatten())
            .all(|(column, count)| {
                column.is_none_or(|column| {
                    let column = &self.program.columns[column];
                    *count >= column.lower && column.upper.is_none_or(|upper| *count <= upper)
                })
            })
    }
}
