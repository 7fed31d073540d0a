//! Hosts as offers.

use crate::execution::apply::place::ended;
use std::path::Path;
use std::process::Command;

const JOB: &str = "name = \"train\"\n\
    [datasets.faces]\nat = \"azure:germanywestcentral\"\nsize = \"1 GB\"\nlabels = [\"personal\"]\n\
    [stages.train]\nreads = [\"faces\"]\nwrites = { model = \"1 GB\" }\nneeds = { accelerators = [\"A100-80GB:4\"] }\n\
    duration = \"2 h\"\nrun = \"echo 1 > $SKY_OUTPUTS/model\"\n";
const POLICY: &str = "[residency]\npersonal = [\"DE\"]\n[operators]\nus_cloud_act = \"exclude\"\n";
const HOSTS: &str = "[hosts.big]\naddress = \"10.20.30.40\"\nuser = \"somebody\"\nidentity = \"key-of-somebody\"\n\
    cpus = 64\nmemory = \"512 GiB\"\naccelerators = \"A100-80GB:4\"\nplace = \"berlin\"\ntype = \"dgx\"\nprice = \"$1.20\"\n\
    [hosts.cheap]\naccelerators = \"A100-80GB:4\"\nplace = \"dallas\"\ntype = \"cheap\"\n\
    [hosts.small]\ncpus = 4\nplace = \"berlin\"\n\
    [places.berlin]\ncountry = \"DE\"\noperator = \"Us\"\nparent = \"Us\"\nparent_country = \"DE\"\nus_cloud_act = \"no\"\n\
    [places.dallas]\ncountry = \"US\"\noperator = \"Us\"\nus_cloud_act = \"yes\"\n\
    [network]\negress = \"$0.02\"\ngbps = 1\n";

fn sky(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sky"));
    command
        .args(args)
        .current_dir(folder)
        .env_remove("SKY_HOSTS")
        .env_remove("SKY_CATALOG");
    command
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("job.toml", JOB),
        ("policy.toml", POLICY),
        ("mine.toml", HOSTS),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

#[test]
fn a_plan_takes_the_host_that_fits_needs_and_rules() {
    let folder = folder();
    let run = |args: &[&str], code: i32| ended(&sky(folder.path(), args).output().unwrap(), code);
    let said = run(&["plan"], 3);
    assert!(said.contains("no plan satisfies"), "{said}");
    let said = run(&["plan", "--hosts", "mine.toml", "--out", "plan.json"], 0);
    assert!(
        said.contains("ssh:berlin") && said.contains("dgx") && said.contains("$2.40"),
        "{said}"
    );
    let plan = std::fs::read_to_string(folder.path().join("plan.json")).unwrap();
    // How a host is reached is nobody's business.
    for kept in ["10.20.30.40", "somebody", "mine.toml", "\"big\""] {
        assert!(!plan.contains(kept), "{kept} in {plan}");
    }
    run(&["plan", "--hosts", "mine.toml", "--check", "plan.json"], 0);
    run(&["verify", "--hosts", "mine.toml", "plan.json"], 0);
    run(&["verify", "plan.json"], 5);
    // The file of the working folder needs no name.
    std::fs::rename(
        folder.path().join("mine.toml"),
        folder.path().join("hosts.toml"),
    )
    .unwrap();
    run(&["plan", "--check", "plan.json"], 0);
    run(&["validate"], 0);
    let said = run(&["explain", "plan.json"], 0);
    assert!(said.contains("ssh:berlin"), "{said}");
}

#[test]
fn a_lock_pins_the_catalog_beside_the_hosts() {
    let folder = folder();
    let run = |args: &[&str], code: i32| ended(&sky(folder.path(), args).output().unwrap(), code);
    run(&["catalog", "lock", "--built-in"], 0);
    run(
        &[
            "plan",
            "--locked",
            "--hosts",
            "mine.toml",
            "--out",
            "plan.json",
        ],
        0,
    );
    // Refused only for want of a way to reach the host: no lock is in the way.
    let said = run(
        &[
            "apply",
            "--locked",
            "--hosts",
            "mine.toml",
            "plan.json",
            "--provider",
            "local",
            "--stand-ins",
        ],
        0,
    );
    assert!(said.contains("done") || said.contains("Apply"), "{said}");
    let said = run(
        &["apply", "--locked", "plan.json", "--provider", "local"],
        5,
    );
    assert!(
        said.contains("was not made from the catalog that sky.lock pins"),
        "{said}"
    );
}

#[test]
fn mistakes_in_the_inventory_are_told_with_their_line() {
    let folder = folder();
    std::fs::write(
        folder.path().join("hosts.toml"),
        "[hosts.big]\ncpus = 4\nmemmory = \"8 GiB\"\n",
    )
    .unwrap();
    let said = ended(&sky(folder.path(), &["plan"]).output().unwrap(), 1);
    assert!(
        said.contains("hosts.toml:3:1: unknown field `memmory`"),
        "{said}"
    );
}
