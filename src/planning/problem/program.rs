//! A mixed-integer linear program with integer coefficients.

use super::ids::ColumnId;
use crate::util::id_vec::IdVec;

/// The seed that every solver of a program gets, so that equal programs have equal answers.
pub const SOLVER_SEED: u32 = 1;

/// A linear expression: variables with their coefficients.
pub type Terms = Vec<(ColumnId, i64)>;

/// Minimise `constant + Σ cost·x` over the rows and bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// The name of the program in an MPS file.
    pub name: String,
    /// The variables.
    pub columns: IdVec<ColumnId, Column>,
    /// The constraints.
    pub rows: Vec<Row>,
    /// `(column, coefficient)`, ascending, no zeros.
    pub objective: Terms,
    /// The part of the objective that depends on no variable.
    pub constant: i64,
}

/// A variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Unique, without white space, as in an MPS file.
    pub name: String,
    /// The least value of the variable.
    pub lower: i64,
    /// `None`: unbounded.
    pub upper: Option<i64>,
    /// Whether the variable takes whole values only.
    pub integer: bool,
}

/// A constraint `lower <= Σ coefficient·x <= upper`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What the row says, and of what: `place[train]`, `arrive[train.model>serve@3]`; unique.
    pub name: String,
    /// The least value of the sum; `None`: there is none.
    pub lower: Option<i64>,
    /// The greatest value of the sum; `None`: there is none.
    pub upper: Option<i64>,
    /// The sum as `(column, coefficient)`, ascending, no zeros.
    pub terms: Terms,
}

impl Program {
    /// Adds a variable and returns its id.
    pub fn column(&mut self, name: String, upper: Option<i64>, integer: bool) -> ColumnId {
        self.columns.push(Column {
            name,
            lower: 0,
            upper,
            integer,
        })
    }

    /// Adds a constraint; terms of one variable are summed.
    pub fn row(&mut self, name: String, lower: Option<i64>, upper: Option<i64>, terms: Terms) {
        self.rows.push(Row {
            name,
            lower,
            upper,
            terms: collected_terms(terms),
        });
    }

    /// Sets what is minimised.
    pub fn minimize(&mut self, terms: Terms, constant: i64) {
        self.objective = collected_terms(terms);
        self.constant = constant;
    }
}

/// Sums terms of the same variable, in the order of variables, without zeros.
fn collected_terms(mut terms: Terms) -> Terms {
    terms.sort_unstable();
    let mut sums = Terms::with_capacity(terms.len());
    for (column, coefficient) in terms {
        match sums.last_mut() {
            Some((last, sum)) if *last == column => *sum += coefficient,
            _ => sums.push((column, coefficient)),
        }
    }
    sums.retain(|(_, coefficient)| *coefficient != 0);
    sums
}
