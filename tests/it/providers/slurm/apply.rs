//! Applies whose stages are jobs.

use super::*;
use crate::execution::apply::place::{ended, wait};
use crate::execution::proof::files_with;
use crate::support::sshd::Sshd;
use std::process::Stdio;

#[test]
fn data_goes_through_the_shared_folder_and_over_ssh() {
    let cluster = Cluster::shared();
    let rows: [Row; 2] = [
        (
            "make",
            &[],
            &["tree"],
            "mkdir $SKY_OUTPUTS/tree; echo $SKY_STAGE > $SKY_OUTPUTS/tree/a; ln -s a $SKY_OUTPUTS/tree/b",
        ),
        (
            "take",
            &["make.tree"],
            &["o"],
            "test -L $SKY_INPUTS/tree/b && cat $SKY_INPUTS/tree/b > $SKY_OUTPUTS/o; echo said",
        ),
    ];
    let place = place(cluster, &rows);
    // The log-in node is reached by SSH, here.
    let host = Sshd::shared().host("one", &place.path("shared"), "");
    let host = host.replace("[hosts.one]", "[clusters.one]");
    std::fs::write(
        place.path("hosts.toml"),
        format!("{host}conf = \"{}\"\n", cluster.conf().display()),
    )
    .unwrap();
    let said = ended(&place.apply(&[]), 0);
    assert!(said.contains("said"), "{said}");
    assert_eq!(place.text(".sky/artifacts/take/o"), "make\n");
    ended(
        &place.sky(&["destroy", "--auto-approve"]).output().unwrap(),
        0,
    );
    assert_eq!(
        (left(&place), cluster.jobs_in(place.folder.path())),
        (Vec::new(), Vec::new())
    );
}

#[test]
fn what_waits_in_the_queue_is_started_there_and_goes_on_with_another_sky() {
    let cluster = Cluster::start();
    let planted = "pl4nted-in-a-queue-'$x";
    let rows: [Row; 1] = [(
        "secret",
        &[],
        &["o"],
        "echo secret >> ../../../../../ran; printf %s \"$PASSWORD\" | wc -c > $SKY_OUTPUTS/o; echo \"$PASSWORD\"",
    )];
    let place = place(&cluster, &rows);
    write_hosts(&cluster, &place, "gres = \"gpu:2\"");
    let mut plan = sky::plan::file::read(&place.path("plan.json")).unwrap();
    plan.stages[0].secrets =
        std::iter::once(("PASSWORD".to_owned(), "env:PLANTED".to_owned())).collect();
    plan.digest = None;
    place.write_plan(&plan);
    // Somebody else has all GPUs.
    let other = cluster.submit(&["--gres=gpu:2", "--job-name=other"], "sleep 600");
    wait("the other job", || {
        cluster.ask("squeue", &["-h", "-t", "R", "-o", "%i"]) == other
    });
    let sky = || {
        let mut command = place.sky(&["apply", "plan.json"]);
        command
            .env("PLANTED", planted)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let started = || {
        let machines = std::fs::read_dir(place.path("shared/one/machines"))
            .into_iter()
            .flatten()
            .flatten();
        machines
            .into_iter()
            .any(|machine| machine.path().join("box/.run/start").exists())
    };
    let mut first = sky();
    wait("the start", started);
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(cluster.jobs_in(place.folder.path()).len(), 1);
    let second = sky();
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(place.text("ran"), "");
    cluster.ask("scancel", &[&other]);
    let said = ended(&second.wait_with_output().unwrap(), 0);
    // What the command itself prints is not shown.
    assert!(!said.contains(planted), "{said}");
    assert_eq!(
        (
            place.text("ran").as_str(),
            place.text(".sky/artifacts/secret/o").trim()
        ),
        ("secret\n", "22")
    );
    for folder in [place.folder.path(), cluster.path("").as_path()] {
        assert_eq!(files_with(folder, planted), Vec::<String>::new());
    }
    ended(
        &place.sky(&["destroy", "--auto-approve"]).output().unwrap(),
        0,
    );
    assert_eq!(
        (left(&place), cluster.ask("squeue", &["-h"])),
        (Vec::new(), String::new())
    );
}

#[test]
fn a_sweep_finds_jobs_whose_state_and_folder_are_lost() {
    let cluster = Cluster::shared();
    let place = place(
        cluster,
        &[("x", &[], &["o"], "touch ../../../../../begun; sleep 300")],
    );
    let mut child = place.start();
    wait_long(|| place.path("begun").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    for folder in [".sky", "shared/one/machines"] {
        std::fs::remove_dir_all(place.path(folder)).unwrap();
    }
    std::fs::remove_file(place.path("sky.state.json")).unwrap();
    let said = ended(
        &place
            .sky(&["sweep", "--dry-run", "--all"])
            .output()
            .unwrap(),
        2,
    );
    assert!(
        said.contains("of another state") && said.contains("one/"),
        "{said}"
    );
    ended(
        &place
            .sky(&["sweep", "--all", "--auto-approve"])
            .output()
            .unwrap(),
        0,
    );
    assert_eq!(
        (place.processes(), cluster.jobs_in(place.folder.path())),
        (0, Vec::<String>::new())
    );
}

fn wait_long(condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(120));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_job_sees_nothing_of_the_environment_that_sky_was_started_with() {
    let rows: [Row; 1] = [("only", &[], &["o"], "env > $SKY_OUTPUTS/o; pwd; ls -A")];
    let place = place(Cluster::shared(), &rows);
    let mut apply = place.sky(&["apply", "plan.json"]);
    let planted = [
        ("AWS_SECRET_ACCESS_KEY", "planted"),
        ("SLACK_TOKEN", "planted"),
        ("SKY_SOMETHING", "planted"),
    ];
    let said = ended(&apply.envs(planted).output().unwrap(), 0);
    let seen = place.text(".sky/artifacts/only/o");
    assert!(
        !seen.contains("planted") && seen.contains("SLURM_JOB_ID=") && seen.contains("PATH="),
        "{seen}"
    );
    // Its working folder is empty, and has nothing of sky's in it.
    let printed: Vec<&str> = said
        .lines()
        .filter_map(|line| line.strip_prefix("only | "))
        .collect();
    assert!(
        printed.len() == 1 && printed[0].ends_with("/work"),
        "{said}"
    );
}
