//! One machine of those that a token stands for.

use super::super::super::Token;
use super::super::{Instance, instance_tags};
use crate::util::hash;

/// One machine of those that a token stands for: of a gang there are many, all of which carry it.
#[derive(Clone)]
pub(super) struct Node {
    pub token: Token,
    pub number: u32,
}

impl Node {
    /// The first node of a token, or its only one.
    pub(super) fn first(token: &Token) -> Self {
        Self {
            token: token.clone(),
            number: 0,
        }
    }

    /// What its instance is made under, and its host key: for the first, or the only one, the
    /// token.
    pub(super) fn own(&self) -> Token {
        match self.number {
            0 => self.token.clone(),
            number => {
                let digest = hash::digest(format!("{}\nnode {number}", self.token.id).as_bytes());
                let id = digest.chars().skip("sha256:".len()).take(32).collect();
                Token {
                    id,
                    ..self.token.clone()
                }
            }
        }
    }

    /// Whether an instance that carries the token is this one.
    pub(super) fn is(&self, instance: &Instance) -> bool {
        instance_tags::node(instance) == self.number
    }
}
