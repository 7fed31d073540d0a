//! A cloud that joins the catalog with one signed file: chosen by the next plan, bound by the
//! policy, and refused where anything is wrong with the file.

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

#[test]
fn a_file_that_is_not_as_it_was_signed_is_refused() {
    let sandbox = sandbox();
    refused(&sandbox, &register(&["--as-of", DAY]), "no key is trusted");
    let other = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    refused(
        &sandbox,
        &register(&["--key", other, "--as-of", DAY]),
        "no trusted key signed it",
    );
    refused(
        &sandbox,
        &register(&["--key", "nothing", "--as-of", DAY]),
        "what is given is not a key, and no file with one",
    );
    sandbox.replace("acme.toml", "on_demand = \"4.00\"", "on_demand = \"3.00\"");
    refused(&sandbox, &register(&SIGNED), "no trusted key signed it");
    // Nor is it taken as unsigned: it has a signature, and that is wrong.
    refused(
        &sandbox,
        &register(&[SIGNED.as_slice(), &["--allow-unsigned"]].concat()),
        "no trusted key signed it",
    );
    sandbox.write("acme.toml.minisig", "nonsense\n");
    refused(
        &sandbox,
        &register(&SIGNED),
        "it is not a minisign signature",
    );
    std::fs::remove_file(sandbox.path("acme.toml.minisig")).unwrap();
    refused(&sandbox, &register(&SIGNED), "--allow-unsigned");
    sandbox.stdout(&register(&UNSIGNED), 0);
}

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

#[test]
fn a_name_that_is_taken_is_refused() {
    let sandbox = sandbox();
    std::fs::remove_file(sandbox.path("acme.toml.minisig")).unwrap();
    let named = |cloud: &str| {
        let text = sandbox.read("acme.toml");
        let old = text
            .lines()
            .find(|line| line.starts_with("cloud = "))
            .unwrap()
            .to_owned();
        sandbox.replace("acme.toml", &old, &format!("cloud = \"{cloud}\""));
    };
    named("aws");
    refused(
        &sandbox,
        &register(&UNSIGNED),
        "acme.toml:4:9: the name `aws` is taken",
    );
    named("local");
    refused(
        &sandbox,
        &register(&UNSIGNED),
        "`local` is not a name for a cloud",
    );
    named("acme");
    sandbox.stdout(&register(&UNSIGNED), 0);
    refused(
        &sandbox,
        &register(&UNSIGNED),
        "the name `acme` is taken: it was registered without a signature",
    );
    let again = [UNSIGNED.as_slice(), &["--replace"]].concat();
    let said = sandbox.stdout(&register(&again), 0);
    assert!(said.contains("registered again"), "{said}");
    // Nor by a key without being asked to, where there was none.
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/directory");
    for name in ["acme.toml", "acme.toml.minisig"] {
        std::fs::copy(fixture.join(name), sandbox.path(name)).unwrap();
    }
    refused(
        &sandbox,
        &register(&SIGNED),
        "it was registered without a signature",
    );
}

/// The same cloud may send its file again: the key of the first one is trusted for it.
#[test]
fn a_newer_file_of_the_same_key_takes_the_place() {
    let sandbox = sandbox();
    sandbox.stdout(&register(&SIGNED), 0);
    let before = everything(&sandbox);
    let said = sandbox.stdout(&register(&["--as-of", DAY]), 0);
    assert!(said.contains("registered again"), "{said}");
    assert_eq!(everything(&sandbox), before);
    // By someone else's key, or by none, it is not its file.
    std::fs::remove_file(sandbox.path("acme.toml.minisig")).unwrap();
    refused(
        &sandbox,
        &register(&[UNSIGNED.as_slice(), &["--replace"]].concat()),
        "registered under another key",
    );
}

#[test]
fn mistakes_in_a_file_are_named_at_their_place() {
    for (old, new, says) in [
        (
            "format = 1",
            "format = 2",
            "acme.toml:3:10: format 2 is not known",
        ),
        (
            "country = \"DE\"",
            "country = \"UK\"",
            "unknown country `UK`",
        ),
        (
            "us_cloud_act = \"no\"",
            "us_cloud_act = \"never\"",
            "`never` is none of the answers",
        ),
        (
            "date = \"2026-11-01\"",
            "date = \"1.11.2026\"",
            "`1.11.2026` is not a day",
        ),
        ("boot_s = 45", "boots = 45", "unknown field `boots`"),
        (
            "places = [\"fra1\"]",
            "places = [\"aws:us-east-1\"]",
            "there is no place `aws:us-east-1` in this file",
        ),
        (
            "instance_type = \"c.8\"",
            "instance_type = \"c.9\"",
            "there is no machine `c.9` in this file",
        ),
        ("unit = \"hour\"", "unit = \"day\"", "unknown unit `day`"),
        (
            "version = \"3.5\"",
            "version = \"latest\"",
            "`latest` is not a version",
        ),
        ("percent = 10", "percent = 110", "110 % is not a discount"),
        (
            "from = \"*\"",
            "from = \"aws:us-east-1\"",
            "there is no place `aws:us-east-1` in this file",
        ),
        (
            "on_demand = 0.20",
            "on_demand = -0.20",
            "acme.toml:53:13: `-0.2` is negative",
        ),
        (
            "on_demand = 0.20",
            "on_demand = 0",
            "acme.toml:53:13: on_demand: a price of 0 is not believable",
        ),
        (
            "tee = [\"sev-snp\"]",
            "tee = [\"magic\"]",
            "unknown environment `magic`",
        ),
        (
            "cloud = \"acme\"",
            "cloud = \"Acme!\"",
            "`Acme!` is not a name for a cloud",
        ),
        (
            "[[quotas]]\ninstances",
            "[[throughput]]\nfrom = \"aws:*\"\nto = \"gcp:*\"\ngbps = 0.001\n[[quotas]]\ninstances",
            "this way is between other clouds",
        ),
        (
            "V100 = 16",
            "Z9 = 16",
            "acme.toml:85:18: `Z9` is nothing that is counted",
        ),
    ] {
        let sandbox = sandbox();
        std::fs::remove_file(sandbox.path("acme.toml.minisig")).unwrap();
        sandbox.replace("acme.toml", old, new);
        refused(&sandbox, &register(&UNSIGNED), says);
    }
}

/// Figures of another kind, rows that say nothing, and two rows that say different things.
#[test]
fn rows_that_cannot_be_meant_are_refused_at_their_value() {
    for (old, new, says) in [
        (
            "on_demand = 0.20",
            "on_demand = true",
            "acme.toml:53:13: invalid type: boolean `true`, expected a number",
        ),
        (
            "on_demand = 0.20",
            "on_demand = \"cheap\"",
            "acme.toml:53:13: `cheap`",
        ),
        (
            "on_demand = 0.20",
            "on_demand = [0.2]",
            "acme.toml:53:13: invalid type: sequence, expected a number",
        ),
        (
            "boot_s = 45",
            "boot_s = -45",
            "acme.toml:14:10: `-45` is negative",
        ),
        ("boot_s = 45", "boot_s = 1e30", "acme.toml:14:10: "),
        (
            "vcpus = 24",
            "vcpus = 0",
            "acme.toml:31:9: vcpus: 0 is nothing",
        ),
        (
            "memory_gib = 448",
            "memory_gib = 9000000000",
            "acme.toml:32:14: memory_gib: 9000000000 is too large",
        ),
        (
            "accelerator = \"V100\"\n",
            "",
            "acme.toml:33:9: count: there is no accelerator to count",
        ),
        (
            "count = 4",
            "count = 0",
            "acme.toml:34:9: count: 0 is nothing",
        ),
        (
            "instances = 8",
            "instances = 1.5",
            "acme.toml:81:13: instances: 1.5 is not a number of them",
        ),
        (
            "instances = 8",
            "instances = -8",
            "acme.toml:81:13: `-8` is negative",
        ),
        (
            "instances = 8",
            "",
            "acme.toml:80:1: there is a quota that limits nothing",
        ),
        (
            "accelerators = { V100 = 16 }",
            "accelerators = {}",
            "acme.toml:85:16: accelerators: there is no card in it",
        ),
        (
            "accelerators = { V100 = 16 }",
            "accelerators = \"V100\"",
            "expected a number, or numbers by the names of cards",
        ),
        (
            "instances = 8\n",
            "instances = 8\n[[quotas]]\ninstances = 9\n",
            "acme.toml:83:13: instances: the cloud has another quota of it at line 81",
        ),
        (
            "places = [\"*\"]\ninstance_type = \"v100.4\"",
            "places = []\ninstance_type = \"v100.4\"",
            "acme.toml:44:10: places: it names no place",
        ),
        (
            "places = [\"fra1\"]\nservice",
            "places = []\nservice",
            "places: it names no place",
        ),
        (
            "places = [\"fra1\"]\nservice",
            "places = [\"fra1\", \"fra1\"]\nservice",
            "`fra1` is there twice",
        ),
        (
            "places = [\"fra1\"]\naccelerators",
            "places = []\naccelerators",
            "places: it names no place",
        ),
        (
            "usd_per_gb = 0.01",
            "usd_per_gb = 0.01\n[[egress]]\nfrom = \"*\"\nto = \"internet\"\nusd_per_gb = 0.02",
            "acme.toml:82:14: `*` to `internet` has another rate for the same volume at line 78",
        ),
        (
            "usd_per_gb = 0.01",
            "usd_per_gb = 0.01\nabove_gb = 10",
            "`*` to `internet` has no rate from the first byte",
        ),
        (
            "to = \"internet\"",
            "to = \"aws:us-east-9\"",
            "`aws:us-east-9` is not a place and no pattern that matches one; did you mean `aws:us-east-1`?",
        ),
        (
            "spot = 1.20",
            "spot = 5",
            "acme.toml:47:8: spot: 5 is above the 4.00 on demand",
        ),
        (
            "spot = 1.20\n",
            "",
            "interrupted_percent: this row has no spot price",
        ),
        (
            "interrupted_percent = 12",
            "interrupted_percent = 100",
            "100 % is not less than all",
        ),
        (
            "instance_types = [\"v100.*\"]",
            "instance_types = [\"v10.4\"]",
            "the discount of `v10.4` matches nothing that is offered there; did you mean `v100.4`?",
        ),
        (
            "instance_types = [\"v100.*\"]",
            "instance_types = []",
            "instance_types: it names nothing",
        ),
        (
            "instance_types = [\"v100.*\"]",
            "instance_types = [\"service/spark*\"]\nplaces = [\"osl1\"]",
            "matches nothing that is offered there",
        ),
        (
            "valid_until = \"2026-11-10\"",
            "valid_until = \"2026-11-10\"\nvalid_from = \"2026-11-11\"",
            "it ends on 2026-11-10, before it begins on 2026-11-11",
        ),
        (
            "price = 0.30",
            "price = 0.30\n[[services]]\nplaces = [\"osl1\"]\nservice = \"spark\"\nversion = \"3.5\"\nunit = \"tb-scanned\"\nprice = 1",
            "another unit or size at line 63",
        ),
    ] {
        let sandbox = sandbox();
        std::fs::remove_file(sandbox.path("acme.toml.minisig")).unwrap();
        sandbox.replace("acme.toml", old, new);
        refused(&sandbox, &register(&UNSIGNED), says);
    }
}

/// Serves the files of a folder to so many requests, over HTTP on this machine.
fn serve(folder: &Path, requests: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let folder = folder.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(requests) {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut piece = [0; 1024];
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                let count = stream.read(&mut piece).unwrap();
                request.extend_from_slice(&piece[..count]);
            }
            let request = String::from_utf8(request).unwrap();
            let name = request
                .split_whitespace()
                .nth(1)
                .unwrap()
                .trim_start_matches('/')
                .to_owned();
            let (status, body) = match std::fs::read(folder.join(name)) {
                Ok(body) => ("200 OK", body),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&body).unwrap();
        }
    });
    format!("http://{address}")
}

#[test]
fn a_file_may_come_from_a_url() {
    let sandbox = sandbox();
    let server = serve(&sandbox.path("."), 3);
    let url = format!("{server}/acme.toml");
    let words = [
        "catalog",
        "register",
        &url,
        "--catalog",
        "catalog",
        "--key",
        "minisign.pub",
        "--as-of",
        DAY,
    ];
    assert!(sandbox.stdout(&words, 0).contains("acme"));
    let lost = format!("{server}/lost.toml");
    let words = [
        "catalog",
        "register",
        &lost,
        "--catalog",
        "catalog",
        "--key",
        "minisign.pub",
        "--as-of",
        DAY,
    ];
    refused(&sandbox, &words, " answers 404 Not Found");
    let gone = "http://127.0.0.1:9/acme.toml";
    let words = [
        "catalog",
        "register",
        gone,
        "--catalog",
        "catalog",
        "--key",
        "minisign.pub",
        "--as-of",
        DAY,
    ];
    refused(&sandbox, &words, "cannot connect to 127.0.0.1:9");
    let file = format!("file://{}", sandbox.path("acme.toml").display());
    let words = [
        "catalog",
        "register",
        &file,
        "--catalog",
        "catalog",
        "--as-of",
        DAY,
    ];
    assert!(sandbox.stdout(&words, 0).contains("registered again"));
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

/// A small file of a cloud, without a signature.
fn plain(cloud: &str, date: &str, more: &str, price: &str) -> String {
    format!(
        "format = 1\ncloud = \"{cloud}\"\nabout = \"A made-up provider\"\ndate = \"{date}\"\nvalid_until = \"2099-12-31\"\n\
         [places.fra1]\ncountry = \"DE\"\n[machines.c8]\nvcpus = 8\nmemory_gib = 32\n{more}\
         [[prices]]\nplaces = [\"*\"]\ninstance_type = \"c8\"\non_demand = {price}\n"
    )
}

fn unsigned(sandbox: &Sandbox, text: &str) {
    sandbox.write("acme.toml", text);
    std::fs::remove_file(sandbox.path("acme.toml.minisig")).unwrap();
}

#[test]
fn figures_of_days_to_come_are_refused() {
    let sandbox = sandbox();
    unsigned(&sandbox, &plain("acme", "2026-11-21", "", "0.2"));
    refused(
        &sandbox,
        &register(&UNSIGNED),
        "acme.toml:4:8: its figures are of 2026-11-21, and today is 2026-11-20",
    );
}

#[test]
fn what_is_next_to_nothing_for_an_accelerator_is_not_believed() {
    let sandbox = sandbox();
    let card = "accelerator = \"B200\"\ncount = 8\n";
    unsigned(&sandbox, &plain("acme", DAY, card, "0.01"));
    refused(
        &sandbox,
        &register(&UNSIGNED),
        "nothing in it is believed: acme: next to nothing for an accelerator",
    );
}

#[test]
fn names_with_control_characters_are_refused() {
    let sandbox = sandbox();
    unsigned(
        &sandbox,
        &plain("acme", DAY, "", "0.2").replace("A made-up", "\\u001b[31m"),
    );
    refused(
        &sandbox,
        &register(&UNSIGNED),
        "`about` has a control character in it",
    );
}

#[test]
fn a_cloud_may_be_signed_later() {
    let sandbox = sandbox();
    let signed = sandbox.read("acme.toml");
    sandbox.write("acme.toml", &plain("acme", "2026-11-01", "", "0.2"));
    std::fs::rename(sandbox.path("acme.toml.minisig"), sandbox.path("kept")).unwrap();
    sandbox.stdout(&register(&UNSIGNED), 0);
    sandbox.write("acme.toml", &signed);
    std::fs::rename(sandbox.path("kept"), sandbox.path("acme.toml.minisig")).unwrap();
    refused(
        &sandbox,
        &register(&SIGNED),
        "it was registered without a signature",
    );
    let replace: Vec<&str> = SIGNED.iter().copied().chain(["--replace"]).collect();
    assert!(
        sandbox
            .stdout(&register(&replace), 0)
            .contains("acme (Acme Cloud, a made-up provider)")
    );
}

#[test]
fn a_key_that_is_none_is_not_printed() {
    let sandbox = sandbox();
    sandbox.write(
        "secret",
        "untrusted comment: minisign encrypted secret key\nRWQAAEIyAAAAsecret\n",
    );
    for key in ["secret", "RWQAAEIyAAAAsecret"] {
        let args = register(&["--key", key, "--as-of", DAY]);
        let output = sandbox.run(&args);
        assert_eq!(output.status.code(), Some(1));
        assert!(!stderr(&output).contains("RWQAAEIy"), "{}", stderr(&output));
    }
    refused(
        &sandbox,
        &register(&["--key", "secret", "--as-of", DAY]),
        "this is a secret key",
    );
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

/// A file of one owner's clouds, `one` and `two`, of which there are several of one day.
fn register_revision(name: &str, more: &[&str]) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/directory/revisions");
    let file = folder.join(name).display().to_string();
    let words = [
        "catalog",
        "register",
        &file,
        "--catalog",
        "catalog",
        "--as-of",
        DAY,
    ];
    words
        .iter()
        .chain(more)
        .map(|word| (*word).to_owned())
        .collect()
}

fn words(owned: &[String]) -> Vec<&str> {
    owned.iter().map(String::as_str).collect()
}

#[test]
fn a_key_of_one_registered_cloud_signs_no_other() {
    let sandbox = sandbox();
    let key = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/directory/revisions/owner.pub");
    let key = key.display().to_string();
    sandbox.stdout(&words(&register_revision("one.toml", &["--key", &key])), 0);
    let refusal = "is signed by the key of `one`, which is trusted for that cloud alone";
    refused(
        &sandbox,
        &words(&register_revision("two.toml", &[])),
        refusal,
    );
    refused(
        &sandbox,
        &words(&register_revision("two.toml", &["--replace"])),
        refusal,
    );
    // A user who trusts the key for it says so; from then on it is known for both.
    sandbox.stdout(&words(&register_revision("two.toml", &["--key", &key])), 0);
    sandbox.stdout(&words(&register_revision("two.toml", &[])), 0);
}

#[test]
fn an_older_file_of_a_cloud_is_not_taken_again() {
    let sandbox = sandbox();
    let key = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/directory/revisions/owner.pub");
    let key = key.display().to_string();
    sandbox.stdout(&words(&register_revision("one.toml", &["--key", &key])), 0);
    refused(
        &sandbox,
        &words(&register_revision("one-older.toml", &[])),
        "a file of an earlier day is not taken back",
    );
    // Of the same day, only a greater revision is newer.
    for more in [&[][..], &["--replace"], &["--key", &key]] {
        refused(
            &sandbox,
            &words(&register_revision("one-same-day.toml", more)),
            "this one is revision 0",
        );
    }
    sandbox.stdout(&words(&register_revision("one-revision-1.toml", &[])), 0);
    let show = sandbox.stdout(
        &[
            "catalog",
            "show",
            "sky:one:fra1:vm/m1",
            "--catalog",
            "catalog",
        ],
        0,
    );
    assert!(show.contains("$0.11/h"), "{show}");
    refused(
        &sandbox,
        &words(&register_revision("one.toml", &[])),
        "of 2026-11-01, revision 1, and this one is revision 0",
    );
    // The same file again changes nothing.
    let before = everything(&sandbox);
    sandbox.stdout(&words(&register_revision("one-revision-1.toml", &[])), 0);
    assert_eq!(everything(&sandbox), before);
}

#[test]
fn a_file_that_never_ends_is_not_registered() {
    let sandbox = sandbox();
    let pipe = sandbox.path("pipe.toml");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    for file in ["pipe.toml", "/dev/zero", "/dev/stdin"] {
        let args = [
            "catalog",
            "register",
            file,
            "--catalog",
            "catalog",
            "--allow-unsigned",
            "--as-of",
            DAY,
        ];
        let output = sandbox.run(&args);
        assert_eq!(output.status.code(), Some(1), "{file}");
    }
    let args = [
        "catalog",
        "register",
        "pipe.toml",
        "--catalog",
        "catalog",
        "--allow-unsigned",
    ];
    refused(&sandbox, &args, "it is a pipe, a socket or a device");
    // The signature and the keys are files, too.
    refused(
        &sandbox,
        &register(&["--key", "minisign.pub", "--signature", "/dev/zero"]),
        "a pipe, a socket or a device",
    );
    refused(
        &sandbox,
        &register(&["--key", "/dev/zero"]),
        "what is given is not a key, and no file with one",
    );
}

/// A server that answers every request with these bytes again and again, for as long as anybody
/// listens.
fn serve_for_ever(head: &'static [u8], body: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let body = body.clone();
            std::thread::spawn(move || {
                let _ = stream.read(&mut [0; 4096]);
                let mut sent = stream.write_all(head);
                while sent.is_ok() {
                    sent = stream.write_all(&body);
                }
            });
        }
    });
    format!("http://{address}")
}

/// A file of a cloud, its signature: neither a body without an end nor a gzip without one fills the
/// memory.
#[test]
fn a_body_without_an_end_is_not_registered() {
    let sandbox = sandbox();
    let before = everything(&sandbox);
    // A gzip of stored blocks, none of which is the last.
    let mut block = vec![0, 0xff, 0xff, 0, 0];
    block.extend(vec![b'#'; 0xffff]);
    let servers = [
        serve_for_ever(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
            vec![b'#'; 1 << 16],
        ),
        serve_for_ever(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Encoding: gzip\r\n\r\n\
              \x1f\x8b\x08\0\0\0\0\0\0\xff",
            block,
        ),
    ];
    for server in servers {
        let url = format!("{server}/acme.toml");
        for args in [
            vec![
                "catalog",
                "register",
                &url,
                "--catalog",
                "catalog",
                "--allow-unsigned",
                "--as-of",
                DAY,
            ],
            register(&["--key", "minisign.pub", "--signature", &url]),
        ] {
            let begun = std::time::Instant::now();
            let ended = crate::cli::hostile::within_limits(sandbox.sky(&args));
            assert_eq!(ended.faults(), Vec::<String>::new(), "{args:?}");
            assert!(
                ended.said.contains("answers more than 64 MiB"),
                "{args:?}: {}",
                ended.said
            );
            assert!(
                begun.elapsed() < std::time::Duration::from_secs(60),
                "{args:?}"
            );
        }
    }
    assert_eq!(everything(&sandbox), before);
}
