//! The mixed-integer program of counts: how many members of each group take each choice.

use super::choice_effect::ChoiceEffect;
use super::counted::{Counted, Counts};
use crate::model::units::signed_count;
use crate::planning::problem::{CapId, ChoiceId, Program};
use crate::planning::solve::limits::Limits;
use crate::util::id_vec::IdVec;
use std::collections::BTreeMap;

/// A program of counts, and the column of each choice that may be taken.
pub(super) struct CountProgram {
    pub program: Program,
    pub columns: Vec<IdVec<ChoiceId, Option<usize>>>,
}

impl Counted {
    /// The program of counts, with the least cost as its objective.
    pub(super) fn program(&self, limits: Limits) -> CountProgram {
        let mut program = Program {
            name: "counted".to_owned(),
            ..Program::default()
        };
        let (mut cost, mut constant) = (Vec::new(), self.base_cost);
        let mut caps: IdVec<CapId, Vec<(usize, i64)>> = self.room.map(|_| Vec::new());
        let mut readers: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
        let mut columns = Vec::with_capacity(self.groups.len());
        for (number, group) in self.groups.iter().enumerate() {
            let members = signed_count(group.stages.len());
            let in_time = |choice: &ChoiceEffect| {
                choice.allowed
                    && limits
                        .time
                        .is_none_or(|limit| choice.through <= limit.signed())
            };
            let least = group
                .choices
                .iter()
                .filter(|choice| in_time(choice))
                .map(|choice| choice.cost)
                .min();
            let least = least.unwrap_or(0);
            constant += least.saturating_mul(members);
            let mut of_group = IdVec::with_capacity(group.choices.len());
            for (position, choice) in group.choices.iter_enumerated() {
                let column = in_time(choice).then(|| {
                    program.column(format!("count[{number},{position}]"), Some(members), true)
                });
                if let Some(column) = column {
                    cost.push((column, choice.cost - least));
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
            let all = of_group
                .iter()
                .flatten()
                .map(|column| (*column, 1))
                .collect();
            program.row(format!("all[{number}]"), Some(members), Some(members), all);
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
                Some(limit.0.saturating_sub(constant)),
                cost.clone(),
            );
        }
        program.minimize(cost, constant);
        CountProgram { program, columns }
    }

    /// One variable for each transfer that several stages share: it is made as soon as one of them
    /// reads it.
    fn shared_transfers(
        &self,
        program: &mut Program,
        cost: &mut Vec<(usize, i64)>,
        readers: BTreeMap<(usize, usize), Vec<usize>>,
    ) {
        let mut made: BTreeMap<usize, usize> = BTreeMap::new();
        for ((transfer, group), columns) in readers {
            let column = *made.entry(transfer).or_insert_with(|| {
                let column = program.column(format!("transfer[{transfer}]"), Some(1), true);
                cost.push((column, self.transfers[transfer]));
                column
            });
            let members = signed_count(self.groups[group].stages.len());
            let terms = columns
                .into_iter()
                .map(|reader| (reader, -1))
                .chain([(column, members)])
                .collect();
            program.row(format!("made[{transfer},{group}]"), Some(0), None, terms);
        }
    }
}

impl CountProgram {
    pub(super) fn counts(&self, values: &[f64]) -> Counts {
        let value =
            |column: &Option<usize>| column.map_or(0, |column| values[column].round() as i64);
        self.columns
            .iter()
            .map(|columns| columns.map(value))
            .collect()
    }

    pub(super) fn fix(&mut self, group: usize, position: ChoiceId, count: i64) {
        if let Some(column) = self.columns[group][position] {
            let column = &mut self.program.columns[column];
            (column.lower, column.upper) = (count, Some(count));
        }
    }

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
