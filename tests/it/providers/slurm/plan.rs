//! Clusters as offers.

use crate::execution::apply::place::ended;
use crate::support::slurmd::Cluster;
use std::process::Command;

const JOB: &str = "name = \"train\"\n[stages.train]\nwrites = { model = \"1 MB\" }\nneeds = { accelerators = [\"A100-80GB:2\"] }\n\
    duration = \"2 h\"\nrun = \"squeue -h -j $SLURM_JOB_ID -o %b > $SKY_OUTPUTS/model\"\n";
const MORE: &str = "partition = \"main\"\ngres = \"gpu:a100:2\"\ncpus = 4\nmemory = \"100 MB\"\naccelerators = \"A100-80GB:2\"\n\
    place = \"berlin\"\ntype = \"dgx\"\nnodes = 3\nprice = \"$1.20\"\n[places.berlin]\ncountry = \"DE\"\n";

#[test]
fn a_plan_takes_the_cluster_and_an_apply_runs_there() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = Cluster::start();
    std::fs::write(folder.path().join("job.toml"), JOB).unwrap();
    std::fs::write(
        folder.path().join("hosts.toml"),
        cluster.entry("gpu", &folder.path().join("shared"), MORE),
    )
    .unwrap();
    let run = |args: &[&str], code: i32| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sky"));
        command.args(args).current_dir(folder.path());
        for name in ["SKY_HOSTS", "SKY_CATALOG", "SKY_DATA_DIR"] {
            command.env_remove(name);
        }
        ended(&command.output().unwrap(), code)
    };
    let said = run(&["plan", "--out", "plan.json"], 0);
    assert!(
        said.contains("slurm:berlin") && said.contains("dgx") && said.contains("$2.40"),
        "{said}"
    );
    let plan = std::fs::read_to_string(folder.path().join("plan.json")).unwrap();
    for kept in ["slurm.conf", "shared", "a100:2"] {
        assert!(!plan.contains(kept), "{kept} in {plan}");
    }
    run(&["verify", "plan.json"], 0);
    run(&["apply", "plan.json"], 0);
    let got = std::fs::read_to_string(folder.path().join(".sky/artifacts/train/model")).unwrap();
    assert!(got.contains("gpu:a100:2"), "{got}");
    assert!(run(&["sweep", "--dry-run"], 0).contains("Nothing to sweep"));
    run(&["destroy", "--auto-approve"], 0);
    assert_eq!(cluster.ask("squeue", &["-h"]), "");
    assert_eq!(
        std::fs::read_dir(folder.path().join("shared/gpu"))
            .unwrap()
            .count(),
        0
    );
}
