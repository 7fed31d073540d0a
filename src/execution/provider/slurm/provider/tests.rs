use super::*;
use crate::spec::hosts::{HostsFile, parse};
use std::process::Command;

/// What the agent's functions say to a script that is given an argument.
fn said(script: &str, argument: &str) -> String {
    let text = [
        include_str!("../../runner/agent.sh"),
        include_str!("../slurm.sh"),
        "content=\nnl='\n'\n",
        script,
    ]
    .concat();
    let output = Command::new("/bin/sh")
        .args(["-c", &text, "sh", argument])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_slurm_says_is_told_apart() {
    let cases = [
        (
            "Unable to contact slurm controller (connect failure)",
            "!Unreachable",
        ),
        (
            "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation",
            "!Unreachable",
        ),
        (
            "Munge encode failed: Failed to access \"/run/munge\": No such file or directory",
            "!Unreachable",
        ),
        (
            "sbatch: error: Batch job submission failed: Invalid partition name specified",
            "!Stockout",
        ),
        (
            "Batch job submission failed: Requested node configuration is not available",
            "!Stockout",
        ),
        (
            "Batch job submission failed: Invalid generic resource (gres) specification",
            "!Stockout",
        ),
        (
            "Batch job submission failed: Invalid account or account/partition combination specified",
            "!Quota",
        ),
        (
            "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
            "!Quota",
        ),
        (
            "Requested time limit is invalid (missing or exceeds some limit)",
            "!Quota",
        ),
        (
            "Batch job submission failed: Access/permission denied",
            "!Denied",
        ),
        (
            "User's group not permitted to use this partition",
            "!Denied",
        ),
        ("slurm temporarily unable to accept job", "!Throttled"),
        (
            "a job_submit plugin says: no\nand more $(touch x)",
            "!Other",
        ),
    ];
    for (words, kind) in cases {
        let line = said("refuse \"$1\"", words);
        assert!(
            line.starts_with(&format!("{kind} Slurm: ")) && line.lines().count() == 1,
            "{words}: {line}"
        );
    }
}

#[test]
fn times_of_slurm_are_read() {
    for (text, seconds) in [
        ("0:09", 9),
        ("8:08", 488),
        ("1:00:00", 3600),
        ("2-03:04:05", 183_845),
        ("45", 45),
    ] {
        assert_eq!(
            said("in_seconds \"$1\"; echo $seconds", text),
            format!("{seconds}\n"),
            "{text}"
        );
    }
}

#[test]
fn more_time_that_only_an_administrator_can_give_is_told_with_the_way_out() {
    let slurm = "known_job() { job=7; }; squeue() { echo '1:00 2:00'; }; \
                 scontrol() { echo \"$said\"; return 1; }; said=$1; extend 3600";
    let line = said(slurm, "slurm_update error: Access/permission denied");
    assert!(
        line.starts_with("!Other Slurm does not let us give job 7 more time (")
            && line.contains("set `time`"),
        "{line}"
    );
    assert!(said(slurm, "Unable to contact slurm controller").starts_with("!Unreachable "));
    // What is long enough is left alone.
    assert_eq!(
        said(
            "known_job() { job=7; }; squeue() { echo '1:00 2:00'; }; extend 60",
            ""
        ),
        ""
    );
}

#[test]
fn a_job_is_asked_for_as_the_inventory_says() {
    let text = "[clusters.gpu]\npartition = \"a\"\ngres = \"gpu:a100:4\"\ncpus = 3.5\nmemory = \"1 GiB\"\ntime = \"90 m\"\n\
        nodes = 4\n[clusters.other]\naddress = \"login\"\naccelerators = \"T4:2\"\n";
    let folder = Path::new("/");
    let own = parse(&HostsFile {
        path: Path::new("/hosts.toml"),
        folder,
        home: None,
        text,
    })
    .unwrap();
    let all = [
        "--nodes=2",
        "--ntasks-per-node=1",
        "--partition=a",
        "--cpus-per-task=4",
        "--mem=1048576K",
    ];
    assert_eq!(
        sbatch_options(&own.clusters[0], 2),
        [all.as_slice(), &["--gres=gpu:a100:4"]].concat()
    );
    assert_eq!(
        sbatch_options(&own.clusters[1], 1),
        ["--nodes=1", "--ntasks-per-node=1", "--gres=gpu:2"]
    );
    assert_eq!(own.clusters[0].time, Some(Duration::from_secs(5400)));
    assert_eq!(own.clusters[0].host.place.to_string(), "slurm:gpu");
    assert_eq!(
        (
            whole_minutes(Duration::from_secs(61)),
            whole_minutes(Duration::from_secs(60))
        ),
        (3, 2)
    );
}
