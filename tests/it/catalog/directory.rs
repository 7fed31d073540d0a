//! A cloud that joins the catalog with one signed file: chosen by the next plan, bound by the
//! policy, and refused where anything is wrong with the file.

mod keys_and_replay;
mod over_http;
mod refused_files;
mod validity;

use crate::support::sandbox::{Sandbox, stderr};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;

const DAY: &str = "2026-11-20";

/// The BERT job with its catalog, and the file of a cloud named acme.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::bert();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/directory");
    for name in ["acme.toml", "acme.toml.minisig", "minisign.pub"] {
        std::fs::copy(from.join(name), sandbox.path(name)).unwrap();
    }
    sandbox
}

fn register<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let words = ["catalog", "register", "acme.toml", "--catalog", "catalog"];
    [words.as_slice(), more].concat()
}

const SIGNED: [&str; 4] = ["--key", "minisign.pub", "--as-of", DAY];

const UNSIGNED: [&str; 3] = ["--allow-unsigned", "--as-of", DAY];

fn everything(sandbox: &Sandbox) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(sandbox.path("catalog"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

/// Runs a registration that must fail, and leave the catalog as it was.
fn refused(sandbox: &Sandbox, args: &[&str], says: &str) {
    let before = everything(sandbox);
    let output = sandbox.run(args);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(says), "{says}\n{text}");
    assert_eq!(
        everything(sandbox),
        before,
        "{says}: the catalog was changed"
    );
}

#[test]
fn a_cloud_joins_with_one_file_and_the_next_plan_takes_it() {
    let sandbox = sandbox();
    let plan = ["plan", "--catalog", "catalog", "--out", "plan.json"];
    sandbox.write(
        "policy.toml",
        "[trust]\npersonal = [\"sgx\", \"sev-snp\", \"tdx\"]\n",
    );
    let before = sandbox.stdout(&plan, 0);
    assert!(
        before.contains("$39.74") && !before.contains("acme"),
        "{before}"
    );
    let said = sandbox.stdout(&register(&SIGNED), 0);
    for part in [
        "acme (Acme Cloud, a made-up provider) is registered in catalog.",
        "3 prices, 1 service offer",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert!(
        said.contains("left out: the price of c.8 expired on 2026-11-10"),
        "{said}"
    );
    let after = sandbox.stdout(&plan, 0);
    // 8.4 h and 45 s of boot at $4.00 less 10 %, against $38.55 on TPUs.
    let planned: serde_json::Value = serde_json::from_str(&sandbox.read("plan.json")).unwrap();
    let train = planned["stages"]
        .as_array()
        .unwrap()
        .iter()
        .find(|stage| stage["name"] == "train")
        .unwrap();
    assert_eq!(
        (&train["place"], &train["instance_type"]),
        (&"acme:fra1".into(), &"v100.4".into()),
        "{after}"
    );
    assert_eq!(train["cost_micro_usd"], 30_285_000, "{after}");
    sandbox.stdout(&["verify", "plan.json", "--catalog", "catalog"], 0);
    // Its places are in DE and NO.
    sandbox.write("policy.toml", "[residency]\ndefault = [\"US\"]\n");
    let output = sandbox.run(&plan);
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        stderr(&output)
    );
    assert!(!text.contains("acme:"), "{text}");
    sandbox.write("policy.toml", "[clouds]\ndeny = [\"acme\"]\n");
    let denied = sandbox.stdout(&plan, 0);
    assert!(!denied.contains("acme"), "{denied}");
    // Out of reach of the US CLOUD Act it is the only cloud.
    sandbox.write(
        "job.toml",
        "name = \"j\"\n[stages.s]\nneeds = { cpus = 4 }\nduration = \"1 h\"\n",
    );
    sandbox.write("policy.toml", "[operators]\nus_cloud_act = \"exclude\"\n");
    assert!(sandbox.stdout(&plan, 0).contains("acme:fra1"));
}

#[test]
fn what_joined_is_in_the_directory() {
    let sandbox = sandbox();
    sandbox.stdout(&register(&SIGNED), 0);
    let show = |name: &str| sandbox.stdout(&["catalog", "show", name, "--catalog", "catalog"], 0);
    assert!(show("acme:fra1").contains("Acme Cloud GmbH"));
    assert!(show("sky:acme:osl1:vm/v100.4?spot").contains("$1.08/h"));
    assert!(show("spark").contains("acme:fra1"));
    let spark = show("sky:acme:fra1:service/spark@3.5");
    assert!(spark.contains("$0.30/h"), "{spark}");
    let found = sandbox.stdout(
        &["catalog", "search", "4x V100 in DE", "--catalog", "catalog"],
        0,
    );
    assert!(
        found.contains("acme:fra1") && found.contains("$3.60"),
        "{found}"
    );
    let found = sandbox.stdout(
        &[
            "catalog",
            "search",
            "--service",
            "spark>=3.4",
            "--catalog",
            "catalog",
            "--json",
        ],
        0,
    );
    let found: serde_json::Value = serde_json::from_str(&found).unwrap();
    assert_eq!(
        found["offers"][0]["name"],
        "sky:acme:fra1:service/spark@3.5"
    );
    assert_eq!(found["found"], 1);
}

/// Its own limits hold as the policy's do: 8 machines in all, 16 V100 in Frankfurt.
#[test]
fn quotas_of_the_file_hold() {
    let sandbox = sandbox();
    sandbox.stdout(&register(&SIGNED), 0);
    sandbox.write("policy.toml", "[clouds]\nallow = [\"acme\"]\n");
    let job = |nodes: u32, place: &str| {
        format!(
            "name = \"j\"\n[stages.s]\nneeds = {{ accelerators = [\"V100:4\"], places = [\"{place}\"] }}\nduration = \"1 h\"\nnodes = {nodes}\n"
        )
    };
    let plan = |nodes, place, code| {
        sandbox.write("job.toml", &job(nodes, place));
        let output = sandbox.run(&["plan", "--catalog", "catalog", "--out", "plan.json"]);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{nodes} at {place}: {}",
            stderr(&output)
        );
        stderr(&output)
    };
    plan(4, "acme:fra1", 0);
    let text = plan(5, "acme:fra1", 3);
    assert!(
        text.contains("catalog.quotas.acme:fra1.accelerators.V100 (a limit of the provider)"),
        "{text}"
    );
    plan(8, "acme:*", 0);
    sandbox.stdout(&["verify", "plan.json", "--catalog", "catalog"], 0);
    let text = plan(9, "acme:*", 3);
    assert!(text.contains("catalog.quotas.acme.instances"), "{text}");
}

/// Without a catalog folder one is made of all that is shipped.
#[test]
fn a_new_folder_starts_as_the_shipped_catalog() {
    let sandbox = sandbox();
    let words = [
        "catalog",
        "register",
        "acme.toml",
        "--catalog",
        "own",
        "--key",
        "minisign.pub",
        "--as-of",
        DAY,
        "--json",
    ];
    let said: serde_json::Value = serde_json::from_str(&sandbox.stdout(&words, 0)).unwrap();
    assert_eq!(
        (&said["created"], &said["prices"], &said["cloud"]),
        (&true.into(), &3.into(), &"acme".into())
    );
    let found = sandbox.stdout(
        &[
            "catalog",
            "list",
            "--catalog",
            "own",
            "--place",
            "aws:us-east-1",
            "--json",
        ],
        0,
    );
    let shipped = sandbox.stdout(
        &["catalog", "list", "--place", "aws:us-east-1", "--json"],
        0,
    );
    let offers =
        |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap()["offers"].clone();
    assert_eq!(offers(&found), offers(&shipped));
    // A folder with other things in it is not a place for one.
    sandbox.write("mine/notes.txt", "mine\n");
    let words = [
        "catalog",
        "register",
        "acme.toml",
        "--catalog",
        "mine",
        "--key",
        "minisign.pub",
        "--as-of",
        DAY,
    ];
    refused(&sandbox, &words, "the folder has no catalog in it");
}

/// What people wrote stays as they wrote it, in files that change and in those that do not.
#[test]
fn a_catalog_written_by_hand_keeps_its_comments() {
    let sandbox = sandbox();
    std::fs::remove_dir_all(sandbox.path("catalog")).unwrap();
    sandbox.write(
        "catalog/catalog.toml",
        "# ours, kept by hand\nformat = 1\n\n# asked for by mail\n[sources.mail]\ndate = \"2026-10-01\"   # a Thursday\nabout = \"a mail\"\n",
    );
    let places =
        "# where we may go\ncountry,place,us_cloud_act\nDE,own:b,no\n# later: own:c\nDE,own:a,no\n";
    sandbox.write("catalog/places.csv", places);
    sandbox.write(
        "catalog/machines.csv",
        "cloud,instance_type,vcpus,memory_gib\n# the old one\nown,m,4,16.0\n",
    );
    let prices =
        "# per hour\nplace,instance_type,source,on_demand\nown:b,m,mail,0.50\nown:a,m,mail,0.40 \n";
    sandbox.write("catalog/prices.csv", prices);
    sandbox.stdout(&register(&SIGNED), 0);
    let head = sandbox.read("catalog/catalog.toml");
    assert!(head.starts_with("# ours, kept by hand\nformat = 1\n\n# asked for by mail\n[sources.mail]\ndate = \"2026-10-01\"   # a Thursday\n"), "{head}");
    assert!(
        head.contains("[sources.joined-acme-2026-11-01-until-2027-01-31]"),
        "{head}"
    );
    let joined = sandbox.read("catalog/places.csv");
    let lines: Vec<&str> = joined.lines().collect();
    let header = "country,place,us_cloud_act,location,operator,source";
    assert_eq!(
        lines[..5],
        [
            "# where we may go",
            header,
            "DE,own:b,no,,,",
            "# later: own:c",
            "DE,own:a,no,,,"
        ],
        "{joined}"
    );
    let source = "joined-acme-2026-11-01-until-2027-01-31";
    assert_eq!(
        lines[5],
        format!("DE,acme:fra1,no,Frankfurt,Acme Cloud GmbH,{source}")
    );
    assert_eq!(sandbox.read("catalog/prices.csv"), prices);
    let count = |text: &str| {
        sandbox
            .stdout(&["catalog", "list", "--catalog", "catalog"], 0)
            .matches(text)
            .count()
    };
    assert_eq!((count("own:"), count("acme:")), (2, 3));
    // The same file again changes no byte, and a price of one's own changes its row alone.
    let before = everything(&sandbox);
    sandbox.stdout(&register(&SIGNED), 0);
    assert_eq!(everything(&sandbox), before);
    sandbox.write("new.csv", "region,instance_type,price\na,m,0.30\n");
    let import = [
        "catalog",
        "import",
        "prices",
        "new.csv",
        "--out",
        "catalog",
        "--cloud",
        "own",
        "--date",
        "2026-11-02",
    ];
    sandbox.stdout(&import, 0);
    assert_eq!((count("own:"), count("acme:")), (2, 3));
    assert!(
        sandbox
            .read("catalog/catalog.toml")
            .starts_with("# ours, kept by hand\n")
    );
    assert!(
        sandbox
            .read("catalog/machines.csv")
            .contains("# the old one")
    );
}
