//! When a stage starts and ends, and what it costs.

use super::machine_needs::sustained_vcpus;
use super::plan_check::PlanCheck;
use super::prices::HOURS_PER_MONTH;
use super::stage_names::member;
use crate::catalog::Terms;
use crate::model::units::{MS_PER_HOUR, div_half_even, saturate, saturate_unsigned};
use crate::model::{
    AcceleratorNeed, Machine, Millis, Money, Offer, Purchase, Rate, Stage, Unit, Work,
};
use crate::plan::PlannedStage;
use crate::planning::compile::spot;
use std::collections::BTreeMap;

impl PlanCheck<'_> {
    /// Checks the times and the costs of a stage.
    pub(super) fn schedule(&mut self, stage: &Stage, planned: &PlannedStage, offer: &Offer) {
        let Some(work) = self.work_time(stage, self.catalog.machine(offer)) else {
            return self.wrong(
                member(planned, "instance_type"),
                &planned.instance_type,
                "a machine that the job has a time for",
            );
        };
        let terms = self.terms(&planned.place);
        let run = self.run_time(stage, planned, work, &terms);
        let boot = match planned.usage {
            Some(_) => Millis(0),
            None => terms.boot,
        };
        self.same(member(planned, "boot_ms"), &planned.boot_ms, &boot);
        self.start_and_end(stage, planned, boot + run);
        let billed = billed_time(planned, &terms, boot + run);
        self.same(member(planned, "billed_ms"), &planned.billed_ms, &billed);
        self.cost(stage, planned, billed);
        self.extras(stage, planned, offer, billed);
        let kept_cost: Money = stage
            .writes
            .values()
            .map(|bytes| self.storage_cost(&planned.place, *bytes))
            .sum();
        self.same(
            member(planned, "storage_micro_usd"),
            &planned.storage_micro_usd,
            &kept_cost,
        );
    }

    /// Returns how long the work takes on a machine of the gang; `None`: the job does not say it of
    /// such a machine.
    fn work_time(&self, stage: &Stage, machine: &Machine) -> Option<Millis> {
        let nodes = i128::from(stage.nodes);
        match &stage.work {
            Work::Duration(time) => Some(*time),
            Work::DurationBy(times) => self.time_by_accelerator(times, machine),
            Work::Flops {
                precision,
                gigaflop,
                efficiency_percent,
            } => {
                let (name, count) = machine.accelerator.as_ref()?;
                let accelerator = self.catalog.accelerators.get(name)?;
                let rate = accelerator.gigaflops.get(precision)?;
                let speed = i128::from(*rate)
                    * i128::from(*count)
                    * nodes
                    * i128::from(*efficiency_percent);
                // Thousandths of cards, of seconds, and hundredths of the rate.
                time_of(i128::from(*gigaflop) * 100_000_000, speed)
            }
            Work::VcpuTime(time) => {
                let speed = i128::from(sustained_vcpus(machine)) * nodes;
                time_of(i128::from(time.0) * 1000, speed)
            }
        }
    }

    /// Returns the least time that the job gives for the most cards which the machine has.
    fn time_by_accelerator(
        &self,
        times: &BTreeMap<AcceleratorNeed, Millis>,
        machine: &Machine,
    ) -> Option<Millis> {
        let needs_met: Vec<_> = times
            .iter()
            .filter(|(need, _)| self.has_accelerator(machine, need))
            .collect();
        let most_cards = needs_met.iter().map(|(need, _)| need.thousandths).max()?;
        needs_met
            .iter()
            .filter(|(need, _)| need.thousandths == most_cards)
            .map(|(_, time)| **time)
            .min()
    }

    /// Returns the time from the boot to the end, with the interruptions that are expected on spot
    /// machines; checks what the plan says of these.
    fn run_time(
        &mut self,
        stage: &Stage,
        planned: &PlannedStage,
        work: Millis,
        terms: &Terms,
    ) -> Millis {
        let spot_member = || member(planned, "spot");
        let is_spot = planned.purchase == Purchase::Spot;
        self.same(spot_member(), &planned.spot.is_some(), &is_spot);
        let Some(spot) = &planned.spot else {
            return work;
        };
        self.same(spot_member(), &spot.moving_micro_usd, &Money(0));
        let expected = spot::expected(
            work,
            stage.nodes,
            spot.monthly_ppm,
            terms.boot,
            stage.checkpoint.as_ref(),
        );
        match expected.filter(|_| spot.monthly_ppm > 0) {
            Some(expected) => {
                let says = (spot.interruptions_millionths, spot.checkpoint_every_ms);
                self.same(
                    spot_member(),
                    &says,
                    &(expected.interruptions, expected.every),
                );
                expected.time
            }
            None => {
                self.same(spot_member(), &spot.interruptions_millionths, &0);
                work
            }
        }
    }

    /// Checks that a stage starts as soon as all that it waits for is there, and ends so much
    /// later.
    fn start_and_end(&mut self, stage: &Stage, planned: &PlannedStage, duration: Millis) {
        let mut start = Millis(0);
        for read in &stage.reads {
            match self.arrival(read, &planned.place) {
                Some(time) => start = start.max(time),
                None => self.wrong(
                    member(planned, "reads"),
                    read,
                    "data that is at this place, or is brought there",
                ),
            }
        }
        // A stage that the plan does not have is a difference of `stages`.
        let waited_for = stage
            .after
            .iter()
            .filter_map(|before| self.stages.get(before.as_str()));
        start = waited_for.map(|before| before.end_ms).fold(start, Ord::max);
        let ready = start;
        for wait in &planned.waits_for {
            match self.stages.get(wait.stage.as_str()) {
                Some(before) => start = start.max(before.end_ms),
                None => self.wrong(
                    member(planned, "waits_for"),
                    &wait.stage,
                    "a stage of the plan",
                ),
            }
        }
        self.same(
            member(planned, "wait_ms"),
            &planned.wait_ms,
            &(start - ready),
        );
        let end_time = start + duration;
        self.same(member(planned, "start_ms"), &planned.start_ms, &start);
        self.same(member(planned, "end_ms"), &planned.end_ms, &end_time);
        if let Some(deadline) = stage.deadline.filter(|deadline| end_time > *deadline) {
            self.wrong(
                member(planned, "end_ms"),
                planned.end_ms.exact(),
                format!("at most {}, its deadline", deadline.exact()),
            );
        }
    }

    /// Checks what the machines or the service cost.
    fn cost(&mut self, stage: &Stage, planned: &PlannedStage, billed: Millis) {
        let cost = match &planned.usage {
            None => machine_cost(planned.rate_nano_usd_per_hour, stage.nodes, billed),
            Some(usage) => {
                self.same(member(planned, "usage"), &(usage.quantity > 0), &true);
                let counted_by: i128 = match usage.unit {
                    Unit::TbScanned => 1_000_000_000_000,
                    Unit::TibScanned => 1_099_511_627_776,
                    Unit::Hour | Unit::MillionRequests => 1_000_000,
                };
                let rate = i128::from(usage.rate_nano_usd_per_unit.0);
                let nano_usd = rate * i128::from(usage.quantity);
                Money(saturate(div_half_even(nano_usd, counted_by * 1000)))
            }
        };
        self.same(
            member(planned, "cost_micro_usd"),
            &planned.cost_micro_usd,
            &cost,
        );
    }

    /// Checks what comes with the machines: their boot disks and their public addresses.
    fn extras(&mut self, stage: &Stage, planned: &PlannedStage, offer: &Offer, billed: Millis) {
        let ExpectedExtras {
            boot_disk_gib,
            disk,
            address,
        } = self.expected_extras(stage, planned, offer);
        self.same(
            member(planned, "boot_disk_gib"),
            &planned.boot_disk_gib,
            &boot_disk_gib,
        );
        self.same(
            member(planned, "extras.disk_nano_usd_per_hour"),
            &planned.extras.disk_nano_usd_per_hour,
            &disk,
        );
        self.same(
            member(planned, "extras.address_nano_usd_per_hour"),
            &planned.extras.address_nano_usd_per_hour,
            &address,
        );
        self.same(
            member(planned, "disk_micro_usd"),
            &planned.disk_micro_usd,
            &machine_cost(disk, stage.nodes, billed),
        );
        self.same(
            member(planned, "address_micro_usd"),
            &planned.address_micro_usd,
            &machine_cost(address, stage.nodes, billed),
        );
    }

    fn expected_extras(
        &self,
        stage: &Stage,
        planned: &PlannedStage,
        offer: &Offer,
    ) -> ExpectedExtras {
        let machine = self.catalog.machine(offer);
        let is_tpu = machine
            .accelerator
            .as_ref()
            .is_some_and(|(name, _)| name.starts_with("tpu-"));
        if machine.service.is_some() || is_tpu {
            return ExpectedExtras::default();
        }
        let Some(extras) = self.catalog.extras.get(&planned.place) else {
            return ExpectedExtras::default();
        };
        let written: u64 = stage.writes.values().map(|bytes| bytes.0).sum();
        let boot_disk_gib = extras.boot_disk_gib + written.div_ceil(1 << 30);
        // A cloud that sells disks of some sizes only bills the next of them.
        let billed_gib = extras
            .disk_sizes_gib
            .iter()
            .copied()
            .find(|size| *size >= boot_disk_gib)
            .unwrap_or(boot_disk_gib);
        let month = i128::from(extras.disk_per_gib_month.0) * i128::from(billed_gib);
        ExpectedExtras {
            boot_disk_gib,
            disk: Rate(saturate(div_half_even(month, HOURS_PER_MONTH))),
            address: match planned.purchase {
                Purchase::Spot => extras.spot_address,
                Purchase::OnDemand => extras.address,
            },
        }
    }
}

/// What comes with each machine of a stage.
#[derive(Default)]
struct ExpectedExtras {
    boot_disk_gib: u64,
    /// The price of the boot disk.
    disk: Rate,
    /// The price of the public address.
    address: Rate,
}

/// Returns the time of some work at some speed, at least a millisecond; `None`: nothing happens at
/// this speed.
fn time_of(work: i128, speed: i128) -> Option<Millis> {
    let time = (speed > 0).then(|| div_half_even(work, speed).max(1))?;
    Some(Millis(saturate_unsigned(time)))
}

/// Returns the machine time that a cloud bills for a stage of so much time.
fn billed_time(planned: &PlannedStage, terms: &Terms, time: Millis) -> Millis {
    if planned.usage.is_some() {
        return Millis(0);
    }
    let increment = terms.increment.0.max(1);
    let whole_increments = time.0.div_ceil(increment) * increment;
    Millis(whole_increments.max(terms.minimum.0))
}

/// Returns what so many machines cost for some time.
fn machine_cost(rate: Rate, nodes: u32, billed: Millis) -> Money {
    let exact_cost = i128::from(rate.0) * i128::from(nodes) * i128::from(billed.0);
    Money(saturate(div_half_even(exact_cost, MS_PER_HOUR * 1000)))
}
