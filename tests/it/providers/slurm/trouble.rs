//! What Slurm refuses, takes away and ends.

use super::*;
use crate::execution::apply::place::wait;
use sky::model::Tee;

#[test]
fn refusals_are_told_apart() {
    let cluster = Cluster::shared();
    let place = place(cluster, &[("x", &[], &[], "true")]);
    let kinds = [
        ("partition = \"no-such\"", HOUR, ErrorKind::Stockout),
        ("gres = \"gpu:v100:1\"", HOUR, ErrorKind::Stockout),
        ("gres = \"gpu:a100:3\"", HOUR, ErrorKind::Stockout),
        ("memory = \"10 TB\"", HOUR, ErrorKind::Stockout),
        ("cpus = 1000", HOUR, ErrorKind::Stockout),
        // Above the partition's ten minutes.
        ("partition = \"brief\"", HOUR, ErrorKind::Stockout),
    ];
    runtime().block_on(async {
        for (more, lease, kind) in kinds {
            write_hosts(cluster, &place, more);
            let provider = provider(&place);
            let error = provider
                .create(&token("x"), &spec(1, lease))
                .await
                .unwrap_err();
            assert_eq!(error.kind, kind, "{more}: {error}");
            assert!(error.message.contains("Slurm: "), "{error}");
            assert!(provider.get(&token("x")).await.unwrap().is_none(), "{more}");
        }
        write_hosts(cluster, &place, "");
        let error = provider(&place)
            .create(&token("x"), &spec(5, HOUR))
            .await
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Stockout, "{error}");
        let nowhere = MachineSpec {
            instance_type: "other".into(),
            ..spec(1, HOUR)
        };
        let error = provider(&place)
            .create(&token("x"), &nowhere)
            .await
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Stockout, "{error}");
        let confidential = MachineSpec {
            tee: Some(Tee::SevSnp),
            ..spec(1, HOUR)
        };
        for more in ["", "tee = [\"tdx\"]"] {
            write_hosts(cluster, &place, more);
            let error = provider(&place)
                .create(&token("x"), &confidential)
                .await
                .unwrap_err();
            assert_eq!(error.kind, ErrorKind::Stockout, "{error}");
            assert!(
                error.message.contains("cannot be had with sev-snp"),
                "{error}"
            );
        }
    });
    assert_eq!(cluster.jobs_in(place.folder.path()), Vec::<String>::new());
}

#[test]
fn what_is_preempted_or_ended_from_outside_is_told() {
    let cluster = Cluster::start();
    let place = place(&cluster, &[("x", &[], &[], "true")]);
    write_hosts(&cluster, &place, "gres = \"gpu:1\"");
    runtime().block_on(async {
        let provider = provider(&place);
        let ran = place.path("ran");
        let run = format!("echo x >> '{}'; sleep 600", ran.display());
        let worker = begin(provider.as_ref(), "taken", &run, HOUR).await;
        wait("the command", || ran.exists());
        let urgent = cluster.submit(&["--partition=urgent", "--gres=gpu:2"], "sleep 600");
        until(worker.as_ref(), RunStatus::Preempted).await;
        cluster.ask("scancel", &[&urgent]);
        // It is not begun anew.
        assert_eq!(std::fs::read_to_string(&ran).unwrap(), "x\n");
        let error = provider
            .renew(&token("taken"), LeaseEnd::after(HOUR))
            .await
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
        provider.delete(&token("taken")).await.unwrap();

        let worker = begin(provider.as_ref(), "cancelled", "sleep 600", HOUR).await;
        cluster.ask(
            "scancel",
            &[&format!("--name=sky-{}", token("cancelled").id)],
        );
        until(worker.as_ref(), RunStatus::Lost).await;
        // What is over before it was started cannot be.
        provider
            .create(&token("early"), &spec(1, HOUR))
            .await
            .unwrap();
        cluster.ask("scancel", &[&format!("--name=sky-{}", token("early").id)]);
        let worker = provider.worker(&token("early")).await.unwrap();
        until(worker.as_ref(), RunStatus::Lost).await;
        let error = worker.start(&task("true")).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
        for name in ["cancelled", "early"] {
            provider.delete(&token(name)).await.unwrap();
        }
    });
    assert_eq!(
        (left(&place), cluster.ask("squeue", &["-h"])),
        (Vec::new(), String::new())
    );
}

#[test]
fn leases_move_the_limit_and_slurm_itself_ends_what_outlives_it() {
    let cluster = Cluster::start();
    let place = place(&cluster, &[("x", &[], &[], "true")]);
    let limit = |stage: &str| {
        let name = format!("--name=sky-{}", token(stage).id);
        cluster.ask("squeue", &["-h", &name, "-o", "%l"])
    };
    runtime().block_on(async {
        let provider = provider(&place);
        let worker = begin(
            provider.as_ref(),
            "moved",
            "sleep 600",
            Duration::from_secs(300),
        )
        .await;
        assert_eq!(limit("moved"), "6:00");
        until(worker.as_ref(), RunStatus::Running).await;
        provider
            .renew(&token("moved"), LeaseEnd::after(HOUR))
            .await
            .unwrap();
        assert!(
            ["1:01:00", "1:02:00"].contains(&limit("moved").as_str()),
            "{}",
            limit("moved")
        );
        provider.delete(&token("moved")).await.unwrap();

        // A limit that is said is left alone, and ends the job whatever its lease is.
        write_hosts(&cluster, &place, "time = \"1 m\"");
        let provider = super::provider(&place);
        let worker = begin(provider.as_ref(), "limited", "sleep 600", HOUR).await;
        provider
            .renew(&token("limited"), LeaseEnd::after(HOUR * 2))
            .await
            .unwrap();
        assert_eq!(limit("limited"), "1:00");
        until(worker.as_ref(), RunStatus::Expired).await;
        provider.delete(&token("limited")).await.unwrap();
    });
    assert_eq!(
        (left(&place), cluster.ask("squeue", &["-h"])),
        (Vec::new(), String::new())
    );
}

#[test]
fn a_lease_that_ends_in_the_queue_never_runs() {
    let cluster = Cluster::start();
    let place = place(&cluster, &[("x", &[], &[], "true")]);
    write_hosts(&cluster, &place, "gres = \"gpu:1\"");
    let other = cluster.submit(&["--gres=gpu:2"], "sleep 600");
    wait("the other job", || {
        cluster.ask("squeue", &["-h", "-t", "R", "-o", "%i"]) == other
    });
    runtime().block_on(async {
        let provider = provider(&place);
        let ran = place.path("ran");
        let run = format!("touch '{}'", ran.display());
        let worker = begin(provider.as_ref(), "late", &run, Duration::from_secs(3)).await;
        assert_eq!(worker.status().await.unwrap(), RunStatus::Running);
        until(worker.as_ref(), RunStatus::Expired).await;
        let error = provider
            .renew(&token("late"), LeaseEnd::after(HOUR))
            .await
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
        cluster.ask("scancel", &[&other]);
        wait("the end of the job", || {
            cluster.ask("squeue", &["-h"]).is_empty()
        });
        assert!(!ran.exists());
        provider.delete(&token("late")).await.unwrap();
    });
    assert_eq!(left(&place), Vec::<String>::new());
}

#[test]
fn a_controller_that_is_down_is_waited_for() {
    let mut cluster = Cluster::start();
    let place = place(&cluster, &[("x", &[], &[], "true")]);
    let (runtime, provider) = (runtime(), provider(&place));
    let ran = place.path("ran");
    let go = place.path("go");
    let run = format!(
        "echo x >> '{}'; until [ -e '{}' ]; do sleep 0.05; done",
        ran.display(),
        go.display()
    );
    let worker = runtime.block_on(begin(provider.as_ref(), "on", &run, HOUR));
    wait("the command", || ran.exists());
    cluster.end("slurmctld");
    runtime.block_on(async {
        let error = provider
            .create(&token("new"), &spec(1, HOUR))
            .await
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
        let error = provider.list(None).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
        // Where the machine is, and how it ends, the folder knows.
        assert!(provider.get(&token("on")).await.unwrap().is_some());
        std::fs::write(&go, "").unwrap();
    });
    let exit = place
        .path("shared/one/machines")
        .join(&token("on").id)
        .join("box/.run/exit");
    wait("the end of the command", || exit.exists());
    assert_eq!(
        runtime.block_on(worker.status()).unwrap(),
        RunStatus::Exited(0)
    );
    cluster.begin();
    runtime.block_on(async {
        provider
            .create(&token("new"), &spec(1, HOUR))
            .await
            .unwrap();
        assert_eq!(provider.list(None).await.unwrap().len(), 2);
        for name in ["on", "new"] {
            provider.delete(&token(name)).await.unwrap();
        }
    });
    assert_eq!(
        (left(&place), std::fs::read_to_string(&ran).unwrap()),
        (Vec::new(), "x\n".into())
    );
}

#[test]
fn an_answer_that_was_lost_gives_no_second_job() {
    let cluster = Cluster::shared();
    let place = place(cluster, &[("x", &[], &[], "true")]);
    runtime().block_on(async {
        let machine = provider(&place)
            .create(&token("x"), &spec(1, HOUR))
            .await
            .unwrap();
        let run = place
            .path("shared/one/machines")
            .join(&token("x").id)
            .join("box/.run");
        // As if sbatch had been killed before it said the job's number.
        std::fs::remove_file(run.join("job")).unwrap();
        let provider = provider(&place);
        assert_eq!(
            provider.get(&token("x")).await.unwrap().unwrap().id,
            machine.id
        );
        let _ = std::fs::remove_file(run.join("job"));
        provider.create(&token("x"), &spec(1, HOUR)).await.unwrap();
        assert_eq!(cluster.jobs_in(place.folder.path()).len(), 1);
        // And if there are two after all, the first to begin has the machine for good.
        wait("the claim", || run.join("claim").exists());
        let claimed = std::fs::read_to_string(run.join("claim")).unwrap();
        let machine = run.parent().unwrap().parent().unwrap().join("job");
        let name = format!("--job-name=sky-{}", token("x").id);
        let boxed = run.parent().unwrap().display().to_string();
        let second = cluster.ask(
            "sbatch",
            &[
                "--parsable",
                &name,
                "--output=/dev/null",
                &machine.display().to_string(),
                &boxed,
            ],
        );
        wait("the end of the second", || {
            cluster.ask("squeue", &["-h", "-t", "all", "-j", &second, "-o", "%T"]) == "COMPLETED"
        });
        assert_eq!(std::fs::read_to_string(run.join("claim")).unwrap(), claimed);
        provider.delete(&token("x")).await.unwrap();
    });
    assert_eq!(
        (left(&place), cluster.jobs_in(place.folder.path())),
        (Vec::new(), Vec::new())
    );
}
