//! A rented machine and what runs on it, as its cloud sees it; and its part of the cloud's bill.

use sky::execution::provider::{self, Token};
use sky::model::{Millis, PlaceName, Rate};
use sky::plan::Billing;
use sky::util::simulation;
use std::collections::BTreeMap;
use std::time::Duration;

/// Why a machine is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Released,
    LeaseOver,
    Preempted,
}

/// The command of a machine.
#[derive(Clone, Debug)]
pub(super) struct Command {
    pub started: u64,
    /// When it ends, and with which exit code.
    pub ends: u64,
    pub code: i32,
    /// Asked to end.
    pub stopped: bool,
    /// `sky` had set out to end it before, and that may not have arrived, or was refused.
    pub given_up: bool,
}

/// A machine that is or was.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub token: Token,
    pub id: String,
    pub provider: &'static str,
    pub job: String,
    pub lineage: String,
    pub place: PlaceName,
    pub instance_type: String,
    pub rate: Rate,
    pub nodes: u32,
    pub billing: Billing,
    /// The user's machine on which the `sky` was that asked for it.
    pub made_by: String,
    /// The `sky` that asked for it had ended before the call arrived: nobody could know of it.
    pub orphan: bool,
    /// `sky` has set out to end its command, or to give it back.
    pub given_up: bool,
    pub created: u64,
    pub ready: u64,
    pub lease_end: u64,
    /// As the tag says it.
    pub lease_tag: String,
    pub ended: Option<(u64, Why)>,
    /// When the cloud takes it away, and from when on it says so.
    pub taken: Option<(u64, u64)>,
    /// Of somebody else, who renews its lease until then.
    pub kept_until: Option<u64>,
    /// When that somebody comes back, whose machine outlives its lease meanwhile.
    pub kept_from: Option<u64>,
    /// By number of input: what was fetched from a bucket.
    pub fetched: BTreeMap<usize, Vec<u8>>,
    /// By name: what lies there as input.
    pub inputs: Option<BTreeMap<String, Vec<u8>>>,
    /// Done before it began, by a checkpoint.
    pub ahead_ms: u64,
    pub command: Option<Command>,
    /// The user's machines that have all of its outputs, or a bucket does (`bucket`).
    pub collected_by: Vec<String>,
    /// Its inside cannot be reached from then on.
    pub locked_from: Option<u64>,
}

/// How long a machine of somebody else may live when its owner has just renewed its lease.
const OTHERS_LEASE: u64 = 15 * 60_000;
/// How often the owner does so.
const OTHERS_STEP: u64 = 10 * 60_000;

impl Machine {
    /// Brings what is known up to the moment.
    pub(super) fn settle(&mut self, now: u64) {
        if self.ended.is_some() {
            return;
        }
        if self.kept_from.is_some_and(|from| now < from) {
            // As TPUs do, it goes on costing something after its lease.
            return;
        }
        if let Some(until) = self.kept_until {
            let renewed = now.min(until) / OTHERS_STEP * OTHERS_STEP;
            self.lease_end = self.lease_end.max(renewed + OTHERS_LEASE);
            self.lease_tag = simulation::time(self.lease_end).to_string();
        }
        let taken = self.taken.map(|(at, _)| (at, Why::Preempted));
        let over = (self.lease_end, Why::LeaseOver);
        let end = taken.filter(|taken| taken.0 < over.0).unwrap_or(over);
        if end.0 <= now {
            self.ended = Some(end);
        }
    }

    pub(super) fn end(&mut self, now: u64) {
        self.settle(now);
        self.ended.get_or_insert((now, Why::Released));
    }

    pub(super) fn lives(&self) -> bool {
        self.ended.is_none()
    }

    /// The moment of its command's end, if that came while the machine was there.
    pub(super) fn exited(&self, now: u64) -> Option<(u64, i32)> {
        let command = self.command.as_ref()?;
        let until = self.ended.map_or(now, |(at, _)| at);
        (command.ends <= until).then_some((command.ends, command.code))
    }

    /// When its command has done its work, if it has: it ended well, and not because it was asked
    /// to end.
    pub(super) fn effect(&self, now: u64) -> Option<u64> {
        let command = self.command.as_ref()?;
        self.exited(now)
            .filter(|(_, code)| *code == 0 && !command.stopped)
            .map(|(at, _)| at)
    }

    /// What the cloud charges for it, in micro-USD.
    pub(super) fn bill(&self, now: u64) -> i64 {
        let until = self.ended.map_or(now, |(at, _)| at);
        let time = Millis(until - self.created);
        if self.rate.0 == 0 {
            0
        } else {
            self.rate.cost(self.nodes, self.billing.billed(time)).0
        }
    }

    /// How long until it is taken away, once the cloud has said so.
    pub(super) fn leaves(&self, now: u64) -> Option<Duration> {
        let (at, said) = self.taken?;
        (said <= now).then(|| Duration::from_millis(at.saturating_sub(now)))
    }

    pub(super) fn seen(&self) -> provider::Machine {
        provider::Machine {
            token: self.token.clone(),
            id: self.id.clone(),
            job: self.job.clone(),
            lineage: self.lineage.clone(),
            place: Some(self.place.clone()),
            instance_type: Some(self.instance_type.clone()),
            lease_end: Some(self.lease_tag.clone()),
            lease_over: None,
            ended: false,
        }
    }
}
