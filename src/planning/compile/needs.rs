//! Whether a machine meets a stage's needs, and how long the stage runs on it.

use crate::catalog::Catalog;
use crate::model::offer::ANY_ARCH;
use crate::model::units::{div_half_even, saturate_unsigned};
use crate::model::{
    AcceleratorNeed, Bytes, Latency, Machine, Millis, Money, Needs, Offer, Policy, Rate, Tee,
    TeeSet, Unit, Work,
};

/// Whether a place is one of those that a stage may run at.
pub(super) fn at(needs: &Needs, place: &str) -> bool {
    needs.places.is_empty() || needs.places.iter().any(|pattern| pattern.matches(place))
}

/// Whether an offer is of the kind that needs ask for: a machine, or this service.
fn of_kind(needs: &Needs, machine: &Machine) -> bool {
    match (&needs.service, &machine.service) {
        (None, None) => true,
        (Some(need), Some(service)) => need.name == service.name,
        _ => false,
    }
}

/// Whether an offer is of a kind that a stage may take at all; others are not worth counting.
pub(super) fn in_question(needs: &Needs, machine: &Machine) -> bool {
    match needs.any_of.is_empty() {
        true => of_kind(needs, machine),
        false => needs.any_of.iter().any(|needs| of_kind(needs, machine)),
    }
}

/// Whether an offer meets one set of needs, whose alternatives aside.
pub(super) fn meets(needs: &Needs, machine: &Machine, catalog: &Catalog) -> bool {
    of_kind(needs, machine) && unmet(needs, machine, catalog).is_none()
}

/// The first need that a machine does not meet, in this order, as the job's key of it.
pub(super) fn unmet(needs: &Needs, machine: &Machine, catalog: &Catalog) -> Option<&'static str> {
    if let Some(service) = &machine.service {
        if needs
            .service
            .as_ref()
            .is_some_and(|need| !need.admits(service.version.as_ref()))
        {
            return Some("service");
        }
        if service.unit.counts(needs.scans, needs.requests) == Some(0) {
            return Some(if service.unit == Unit::MillionRequests {
                "requests"
            } else {
                "scans"
            });
        }
    }
    if !needs.instance_types.is_empty()
        && !needs
            .instance_types
            .iter()
            .any(|pattern| pattern.matches(&machine.instance_type))
    {
        return Some("instance_types");
    }
    if !needs.accelerators.is_empty()
        && !needs
            .accelerators
            .iter()
            .any(|need| has_accelerators(machine, need, catalog))
    {
        return Some("accelerators");
    }
    if machine.sustained_vcpu_thousandths() < needs.vcpu_thousandths {
        return Some("cpus");
    }
    if machine.memory < needs.memory {
        return Some("memory");
    }
    // Who runs a service picks its machines.
    (machine.service.is_none() && !machine.has_arch(needs.arch.as_deref())).then_some("arch")
}

/// What an hour of an offer costs; none: it is not billed by the hour.
pub(super) fn hourly(offer: &Offer, catalog: &Catalog) -> Option<Rate> {
    (catalog.machine(offer).unit() == Unit::Hour).then_some(offer.rate)
}

/// Whether an offer keeps the stage's own cap on the price of an hour.
pub(super) fn affordable(needs: &Needs, offer: &Offer, catalog: &Catalog) -> bool {
    needs
        .max_price
        .zip(hourly(offer, catalog))
        .is_none_or(|(most, hourly)| hourly <= most)
}

/// Sizes of machines that there are, ascending.
pub(super) struct Sizes {
    vcpu_thousandths: Vec<u64>,
    memory: Vec<Bytes>,
}

impl Sizes {
    pub(super) fn of(catalog: &Catalog) -> Self {
        let mut vcpu_thousandths: Vec<u64> = catalog
            .machines
            .iter()
            .map(Machine::sustained_vcpu_thousandths)
            .collect();
        let mut memory: Vec<Bytes> = catalog
            .machines
            .iter()
            .map(|machine| machine.memory)
            .collect();
        vcpu_thousandths.sort_unstable();
        memory.sort_unstable();
        Self {
            vcpu_thousandths,
            memory,
        }
    }
}

/// The same needs, with the policy's architecture where they name none.
pub(super) fn with_arch(needs: &Needs, policy: &Policy) -> Needs {
    // Alternatives say it each for themselves.
    let unsaid = || {
        if needs.any_of.is_empty() {
            policy.arch.clone()
        } else {
            Some(ANY_ARCH.to_owned())
        }
    };
    Needs {
        arch: needs.arch.clone().or_else(unsaid),
        any_of: needs
            .any_of
            .iter()
            .map(|needs| with_arch(needs, policy))
            .collect(),
        ..needs.clone()
    }
}

/// The same needs, in the sizes that there are: who asks for 3.1 GiB or for 3.2 GiB asks for the
/// same machines, and is answered once.
pub(super) fn rounded(needs: &Needs, sizes: &Sizes) -> Needs {
    fn up<T: Ord + Copy>(need: T, sizes: &[T]) -> T {
        sizes
            .get(sizes.partition_point(|size| *size < need))
            .copied()
            .unwrap_or(need)
    }
    Needs {
        vcpu_thousandths: up(needs.vcpu_thousandths, &sizes.vcpu_thousandths),
        memory: up(needs.memory, &sizes.memory),
        any_of: needs
            .any_of
            .iter()
            .map(|needs| rounded(needs, sizes))
            .collect(),
        ..needs.clone()
    }
}

/// Of the environments of a machine at some place those that meet the needs; `None`: none does.
pub(super) fn tees(needs: &Needs, tee: TeeSet) -> Option<TeeSet> {
    if needs.tee.is_empty() {
        return Some(tee);
    }
    Some(tee.and(needs.tee.iter().copied().collect())).filter(|tee| !tee.is_empty())
}

/// At least that many of that accelerator, or of one of that kind.
fn has_accelerators(machine: &Machine, need: &AcceleratorNeed, catalog: &Catalog) -> bool {
    machine.accelerator.as_ref().is_some_and(|(name, count)| {
        *count >= need.thousandths && catalog.is_accelerator(name, &need.name)
    })
}

/// How fast a machine does a stage's work, to compare it with others: a faster one never takes
/// longer. `None`: the job does not say how long the stage runs on it.
pub(super) fn pace(work: &Work, machine: &Machine, catalog: &Catalog) -> Option<i128> {
    match work {
        Work::Duration(_) => Some(0),
        Work::DurationBy(_) => duration(work, machine, 1, catalog).map(|time| -i128::from(time.0)),
        Work::Flops { precision, .. } => {
            let (name, count) = machine.accelerator.as_ref()?;
            let rate = *catalog.accelerators.get(name)?.gigaflops.get(precision)?;
            Some(i128::from(rate) * i128::from(*count)).filter(|pace| *pace > 0)
        }
        Work::VcpuTime(_) => {
            Some(i128::from(machine.sustained_vcpu_thousandths())).filter(|pace| *pace > 0)
        }
    }
}

/// Whether machines are as fast for one kind of work as for another, so that they compare alike.
pub(super) fn same_kind(first_work: &Work, other: &Work) -> bool {
    match (first_work, other) {
        (Work::Duration(_), Work::Duration(_)) | (Work::VcpuTime(_), Work::VcpuTime(_)) => true,
        (
            Work::Flops { precision: one, .. },
            Work::Flops {
                precision: other, ..
            },
        ) => one == other,
        (Work::DurationBy(one), Work::DurationBy(other)) => one == other,
        _ => false,
    }
}

/// How long the stage runs on a gang of `nodes` such machines. `None`: the job does not say.
pub(super) fn duration(
    work: &Work,
    machine: &Machine,
    nodes: u32,
    catalog: &Catalog,
) -> Option<Millis> {
    match work {
        Work::Duration(duration) => Some(*duration),
        Work::DurationBy(durations) => {
            // Of the entries that the machine satisfies, the one nearest to what it has.
            let met_durations = durations
                .iter()
                .filter(|(need, _)| has_accelerators(machine, need, catalog));
            met_durations
                .max_by_key(|(need, duration)| (need.thousandths, std::cmp::Reverse(**duration)))
                .map(|(_, duration)| *duration)
        }
        Work::Flops {
            precision,
            gigaflop,
            efficiency_percent,
        } => {
            let (name, count) = machine.accelerator.as_ref()?;
            let rate = *catalog.accelerators.get(name)?.gigaflops.get(precision)?;
            // gigaflop / (gigaflop/s · cards · nodes · efficiency), in milliseconds
            let work = i128::from(*gigaflop) * 1000 * 1000 * 100;
            let speed = i128::from(rate)
                * i128::from(*count)
                * i128::from(nodes)
                * i128::from(*efficiency_percent);
            (speed > 0).then(|| at_least_a_millisecond(div_half_even(work, speed)))
        }
        Work::VcpuTime(time) => {
            let vcpus = i128::from(machine.sustained_vcpu_thousandths()) * i128::from(nodes);
            (vcpus > 0)
                .then(|| at_least_a_millisecond(div_half_even(i128::from(time.0) * 1000, vcpus)))
        }
    }
}

/// At least a millisecond: no work takes no time.
fn at_least_a_millisecond(value: i128) -> Millis {
    Millis(saturate_unsigned(value.max(1)))
}

/// Memory as people ask for it, with at most two decimals: `32 GiB`.
fn memory_text(memory: Bytes) -> String {
    let hundredths = div_half_even(i128::from(memory.0) * 100, 1 << 30);
    let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    format!("{} GiB", text.trim_end_matches('0').trim_end_matches('.'))
}

/// The needs in words: `8 vCPU, 32 GiB memory, V100:4 or tpu-v3-8, sgx or sev-snp`.
pub(super) fn text(needs: &Needs) -> String {
    let joined_by_or = |items: Vec<String>| items.join(" or ");
    let mut need_words = Vec::new();
    need_words.extend(needs.service.as_ref().map(ToString::to_string));
    if needs.vcpu_thousandths > 0 {
        let count = u32::try_from(needs.vcpu_thousandths).unwrap_or(u32::MAX);
        need_words.push(format!(
            "{} vCPU",
            crate::model::accelerator::count_text(count)
        ));
    }
    if needs.memory.0 > 0 {
        need_words.push(format!("{} memory", memory_text(needs.memory)));
    }
    if !needs.accelerators.is_empty() {
        need_words.push(joined_by_or(
            needs
                .accelerators
                .iter()
                .map(AcceleratorNeed::to_string)
                .collect(),
        ));
    }
    if !needs.tee.is_empty() {
        need_words.push(joined_by_or(needs.tee.iter().map(Tee::to_string).collect()));
    }
    need_words.extend(needs.arch.clone().filter(|arch| arch != ANY_ARCH));
    if !needs.instance_types.is_empty() {
        need_words.push(joined_by_or(
            needs
                .instance_types
                .iter()
                .map(ToString::to_string)
                .collect(),
        ));
    }
    if !needs.places.is_empty() {
        need_words.push(format!(
            "at {}",
            joined_by_or(needs.places.iter().map(ToString::to_string).collect())
        ));
    }
    if let Some(Latency { to, at_most }) = &needs.latency {
        need_words.push(format!("at most {at_most} to {to}"));
    }
    need_words.extend(
        needs
            .max_price
            .map(|rate| format!("at most {} an hour", Money(rate.0 / 1000).exact())),
    );
    if !needs.any_of.is_empty() {
        let sets: Vec<String> = needs
            .any_of
            .iter()
            .map(|needs| format!("({})", text(needs)))
            .collect();
        return sets.join(if needs.ordered { ", else " } else { " or " });
    }
    if need_words.is_empty() {
        "any machine".to_owned()
    } else {
        need_words.join(", ")
    }
}
