//! The name of one attempt at a provider.

use crate::util::hash;

/// Names one attempt of one stage under one plan; equal for equal attempts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token {
    /// 32 hex digits, which fit every cloud's client token, tag and label.
    pub id: String,
    /// The stage's name.
    pub stage: String,
    /// The number of the attempt, from 1 on.
    pub attempt: u32,
}

impl Token {
    /// The token of an attempt of `stage.NAME` under the plan with this digest, for the state of
    /// this lineage: two states that apply the same plan at one provider rent two machines.
    pub fn new(lineage: &str, plan_digest: &str, stage: &str, attempt: u32) -> Self {
        let digest =
            hash::digest(format!("{lineage}\n{plan_digest}\nstage.{stage}\n{attempt}").as_bytes());
        let id = digest.chars().skip("sha256:".len()).take(32).collect();
        Self {
            id,
            stage: stage.to_owned(),
            attempt,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_in_every_part() {
        let token = Token::new("l", "sha256:ab", "train", 1);
        assert_eq!(token, Token::new("l", "sha256:ab", "train", 1));
        assert_eq!(token.id.len(), 32);
        let others = [
            ("m", "sha256:ab", "train", 1),
            ("l", "sha256:ac", "train", 1),
            ("l", "sha256:ab", "serve", 1),
            ("l", "sha256:ab", "train", 2),
        ];
        for other in others {
            assert_ne!(token.id, Token::new(other.0, other.1, other.2, other.3).id);
        }
    }
}
