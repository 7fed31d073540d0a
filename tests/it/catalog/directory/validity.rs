//! Files and prices that hold only for some time.

use super::*;

#[test]
fn a_file_that_does_not_hold_today_is_refused() {
    let sandbox = sandbox();
    let on = |day: &'static str| register(&["--key", "minisign.pub", "--as-of", day]);
    refused(
        &sandbox,
        &on("2027-02-01"),
        "acme.toml:8:15: the file expired on 2027-01-31, and today is 2027-02-01",
    );
    refused(
        &sandbox,
        &on("2026-10-31"),
        "the file holds from 2026-11-01 on",
    );
    refused(&sandbox, &on("tomorrow"), "`tomorrow` is not a day");
    // The campaign holds until the 10th.
    let said = sandbox.stdout(&on("2026-11-10"), 0);
    assert!(
        !said.contains("left out") && said.contains("4 prices"),
        "{said}"
    );
}

/// Prices that have ended by the day of the catalog's newest price are no longer offered.
#[test]
fn prices_end_by_the_catalogs_own_day() {
    let sandbox = sandbox();
    sandbox.stdout(&register(&SIGNED), 0);
    let found = || {
        sandbox.stdout(
            &[
                "catalog",
                "search",
                "4x V100",
                "--cloud",
                "acme",
                "--catalog",
                "catalog",
            ],
            0,
        )
    };
    assert!(found().contains("2 offers"));
    sandbox.write(
        "prices.csv",
        "region,instance_type,price\nus-east-1,inf1.xlarge,0.2\n",
    );
    let import = [
        "catalog",
        "import",
        "prices",
        "prices.csv",
        "--out",
        "catalog",
        "--cloud",
        "aws",
        "--date",
    ];
    sandbox.stdout(&[import.as_slice(), &["2027-01-31"]].concat(), 0);
    assert!(found().contains("2 offers"));
    sandbox.stdout(&[import.as_slice(), &["2027-02-01"]].concat(), 0);
    assert!(found().contains("No offer"), "{}", found());
    // What has ended is still to be seen, and who could bring it back.
    let ended = "2 offers held until 2027-01-31 only, and the catalog has prices of 2027-02-01: sky:acme:fra1:vm/v100.4 and 1 more";
    assert!(
        found().contains(ended) && found().contains("sky catalog register FILE"),
        "{}",
        found()
    );
    let show = |name: &str| sandbox.stdout(&["catalog", "show", name, "--catalog", "catalog"], 0);
    for name in ["acme", "acme:fra1", "v100.4", "spark"] {
        assert!(
            show(name).contains(" held until 2027-01-31 only"),
            "{name}: {}",
            show(name)
        );
    }
    let output = sandbox.run(&[
        "catalog",
        "show",
        "sky:acme:fra1:vm/v100.4",
        "--catalog",
        "catalog",
    ]);
    assert!(
        stderr(&output).contains("this offer held until 2027-01-31 only, at $4.00/h"),
        "{}",
        stderr(&output)
    );
    let json = [
        "catalog",
        "search",
        "4x V100",
        "--cloud",
        "acme",
        "--catalog",
        "catalog",
        "--json",
    ];
    let json: serde_json::Value = serde_json::from_str(&sandbox.stdout(&json, 0)).unwrap();
    assert_eq!(
        (&json["found"], &json["lapsed"][0]["held_until"]),
        (&0.into(), &"2027-01-31".into())
    );
    let check = sandbox.stdout(&["catalog", "check", "--catalog", "catalog"], 0);
    let says = "6 offers of c.8 and 2 more held until 2027-01-31, before the newest price (2027-02-01): not offered";
    assert!(check.contains("lapsed") && check.contains(says), "{check}");
    sandbox.write(
        "job.toml",
        "name = \"j\"\n[stages.s]\nneeds = { service = \"spark\" }\nduration = \"1 h\"\n",
    );
    sandbox.write("policy.toml", "");
    let output = sandbox.run(&["plan", "--catalog", "catalog"]);
    let says = "1 offer met that until 2027-01-31, and has ended; `sky catalog check` names it";
    assert!(
        output.status.code() == Some(3) && stderr(&output).contains(says),
        "{}",
        stderr(&output)
    );
}
