//! A folder with a plan in it, and `sky` run there.

use sky::execution::state::{Folder, State};
use sky::model::{Bytes, Extras, Millis, Money, PlaceName, Purchase, Rate};
use sky::plan::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A folder with a plan in it.
pub(crate) struct Place {
    pub folder: tempfile::TempDir,
}

/// A stage: name, reads, writes, command.
pub(crate) type Row<'a> = (&'a str, &'a [&'a str], &'a [&'a str], &'a str);

impl Place {
    pub(crate) fn new(rows: &[Row]) -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        place.plan("job", rows);
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn plan(&self, job: &str, rows: &[Row]) {
        self.write_plan(&plan(job, rows));
    }

    pub(crate) fn write_plan(&self, plan: &Plan) {
        std::fs::write(self.path("plan.json"), text(plan)).unwrap();
    }

    pub(crate) fn sky(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sky"));
        command
            .args(args)
            .current_dir(self.folder.path())
            .env_remove("SKY_DATA_DIR")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn apply(&self, args: &[&str]) -> Output {
        self.sky(&[&["apply", "plan.json"], args].concat())
            .output()
            .unwrap()
    }

    pub(crate) fn start(&self) -> Child {
        self.sky(&["apply", "plan.json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    pub(crate) fn state(&self) -> State {
        Folder::resolve(self.folder.path(), None)
            .read()
            .unwrap()
            .unwrap()
    }

    pub(crate) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// How often each stage wrote its name to the file `ran`, outside of all that sky knows.
    pub(crate) fn ran(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        self.text("ran")
            .lines()
            .for_each(|line| *counts.entry(line.to_owned()).or_default() += 1);
        counts
    }

    /// Live processes of this folder's stages.
    pub(crate) fn processes(&self) -> usize {
        let wanted = format!(
            "SKY_OUTPUTS={}",
            self.folder.path().canonicalize().unwrap().display()
        );
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let environments =
            processes.filter_map(|entry| std::fs::read(entry.path().join("environ")).ok());
        environments
            .filter(|text| String::from_utf8_lossy(text).contains(&wanted))
            .count()
    }

    pub(crate) fn wait_for(&self, name: &str) {
        wait(name, || self.path(name).exists());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.sky(&["destroy", "--auto-approve"]).output();
        for provider in ["local", "sim"] {
            let folder = format!(".sky/rehearsal/{provider}");
            if self.path(&folder).exists() {
                let _ = self
                    .sky(&["destroy", "--auto-approve", "--state-dir", &folder])
                    .output();
            }
        }
    }
}

pub(crate) fn wait(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{what} did not come"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn stage(row: &Row) -> PlannedStage {
    let (name, reads, writes, run) = row;
    let here = PlaceName::here();
    PlannedStage {
        name: (*name).into(),
        place: here,
        country: None,
        instance_type: "this".into(),
        accelerator: None,
        nodes: 1,
        purchase: Purchase::OnDemand,
        tee: None,
        rate_nano_usd_per_hour: Rate(0),
        usage: None,
        price_source: PriceSource {
            id: "none".into(),
            date: "2026-01-01".into(),
            estimated: false,
        },
        replica: None,
        start_ms: Millis(0),
        end_ms: Millis(0),
        boot_ms: Millis(0),
        billed_ms: Millis(0),
        billing: Billing::default(),
        deadline_ms: None,
        spot: None,
        boot_disk_gib: 0,
        extras: Extras::default(),
        disk_micro_usd: Money(0),
        address_micro_usd: Money(0),
        baseline_vcpu_thousandths: None,
        storage_micro_usd: Money(0),
        cost_micro_usd: Money(0),
        labels: Default::default(),
        reads: reads.iter().map(|read| read.to_string().into()).collect(),
        writes: writes
            .iter()
            .map(|name| (name.to_string(), Bytes(1)))
            .collect(),
        outputs: Default::default(),
        kept_from_home_by: None,
        checkpoints_kept_from_home_by: None,
        after: Default::default(),
        waits_for: Vec::new(),
        wait_ms: Millis(0),
        run: (!run.is_empty()).then(|| run.to_string()),
        files: Default::default(),
        env: Default::default(),
        secrets: Default::default(),
        checkpoint: None,
        retries: None,
        alternatives: Vec::new(),
    }
}

/// The file of a plan, with the digest that it must carry.
pub(crate) fn text(plan: &Plan) -> String {
    file::encode(&Plan {
        digest: Some(file::self_digest(plan).unwrap()),
        ..plan.clone()
    })
    .unwrap()
}

pub(crate) fn plan(job: &str, rows: &[Row]) -> Plan {
    let made_up = || String::from(sky::util::hash::digest(b"made up"));
    Plan {
        old_prices: None,
        estimated_disks: BTreeSet::new(),
        format_version: FORMAT_VERSION.into(),
        sky_version: "0".into(),
        job: job.into(),
        inputs: Inputs {
            job: made_up(),
            policy: made_up(),
            catalog: made_up(),
            catalog_date: "".into(),
        },
        objective: PlannedObjective::Cost,
        limits: Limits {
            deadline_ms: None,
            budget_micro_usd: None,
            hour_nano_usd: None,
        },
        stages: rows.iter().map(stage).collect(),
        transfers: Vec::new(),
        datasets: BTreeMap::new(),
        totals: Totals {
            cost_micro_usd: Money(0),
            compute_micro_usd: Money(0),
            storage_micro_usd: Money(0),
            egress_micro_usd: Money(0),
            disk_micro_usd: Money(0),
            address_micro_usd: Money(0),
            makespan_ms: Millis(0),
        },
        single_cloud: None,
        solver: SolverReport {
            name: "none".into(),
            version: "0".into(),
            status: "optimal".into(),
            bound_micro_usd: Money(0),
            bound_ms: None,
            gap: 0,
            seed: 0,
            threads: 1,
            time_limited: false,
        },
        considered: Considered {
            clouds: 0,
            places: 0,
            offers: 0,
            candidates: 0,
            kept: 0,
        },
        warnings: Vec::new(),
        links: Vec::new(),
        from_state: None,
        contents: Contents::default(),
        digest: None,
    }
}

pub(crate) fn dataset(plan: &mut Plan, name: &str, path: Option<&str>) {
    let dataset = PlannedDataset {
        at: if path.is_some() {
            PlaceName::here()
        } else {
            PlaceName::parse("azure:eastus").unwrap()
        },
        path: path.map(str::to_owned),
        bytes: Bytes(1),
        labels: Default::default(),
    };
    plan.datasets.insert(name.into(), dataset);
}

#[track_caller]
pub(crate) fn ended(output: &Output, code: i32) -> String {
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

pub(crate) fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-s", name, &pid])
            .status()
            .unwrap()
            .success()
    );
}
