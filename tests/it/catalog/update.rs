//! `sky catalog update` as people run it.

use crate::execution::safety::private_files::{files, open_to_others};
use crate::support::sandbox::Sandbox;
use server::{Answer, Request, Server};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::Ordering;

#[path = "../../../src/feeds/live/tests/server.rs"]
#[expect(dead_code, reason = "the sources' own tests use the rest")]
mod server;

fn feed(name: &str) -> Vec<u8> {
    std::fs::read(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fixtures/feeds")
            .join(name),
    )
    .unwrap()
}

fn azure(request: &Request) -> Answer {
    match request.path.as_str() {
        path if path.contains("$skip=1000") => Answer::ok(feed("azure-2.json")),
        path if path.contains("$skip=2000") => Answer::ok(feed("azure-3.json")),
        path if path.starts_with("/azure") => Answer::ok(feed("azure-1.json")),
        "/advisor" => Answer::ok(feed("aws-spot-advisor.json")),
        path if path.starts_with("/gcp/6F81") => Answer::ok(feed("gcp-2.json")),
        path if path.starts_with("/gcp/E000") => Answer::ok(feed("gcp-tpu.json")),
        _ => Answer::status(404),
    }
}

/// The command, with all sources at the server.
fn sky(sandbox: &Sandbox, server: &Server, args: &[&str]) -> Command {
    let mut command = sandbox.sky(&[&["catalog", "update", "--retries", "0"], args].concat());
    for (name, path) in [
        ("SKY_AZURE_PRICES_URL", "/azure"),
        ("SKY_AWS_SPOT_ADVISOR_URL", "/advisor"),
        ("SKY_AWS_PRICES_URL", "/aws/index.json"),
        ("SKY_SKYPILOT_URL", "/skypilot"),
        ("SKY_GCP_PRICES_URL", "/gcp"),
    ] {
        command.env(name, format!("{}{path}", server.address()));
    }
    command
}

fn said(output: &Output, server: &Server) -> String {
    // The same with the feature `aws` and without.
    let text = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes)
            .replace(&server.host(), "HOST")
            .replace("aws-spot, ", "");
        text.split_inclusive('\n')
            .filter(|line| !line.starts_with("Not asked: aws-spot:"))
            .collect::<String>()
    };
    // How old the shipped prices are depends on the day of the test.
    let stderr = text(&output.stderr);
    let stderr: Vec<&str> = stderr
        .lines()
        .map(|line| match line.split_once(" days old") {
            Some((before, _)) => before.trim_end_matches(|letter: char| letter.is_ascii_digit()),
            None => line,
        })
        .collect();
    format!(
        "{}exit code {}\n{}\n",
        text(&output.stdout),
        output.status.code().unwrap_or(-1),
        stderr.join("\n")
    )
}

#[test]
fn a_cloud_is_updated() {
    let (sandbox, server) = (Sandbox::bert(), Server::new(azure));
    let first = sky(&sandbox, &server, &["--source", "azure"])
        .output()
        .unwrap();
    let again = sky(&sandbox, &server, &["--source", "azure", "--json"])
        .output()
        .unwrap();
    insta::assert_snapshot!(said(&first, &server));
    insta::assert_snapshot!(said(&again, &server));
    // Planning needs nothing of the network.
    let plan = sandbox
        .sky(&["plan", "--catalog", "catalog"])
        .env("HTTPS_PROXY", "http://127.0.0.1:9")
        .output()
        .unwrap();
    assert_eq!(
        plan.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&plan.stderr)
    );
}

#[test]
fn some_fail_and_some_do_not() {
    let (sandbox, server) = (Sandbox::new(), Server::new(azure));
    let output = sky(
        &sandbox,
        &server,
        &["--cloud", "azure", "--cloud", "aws", "--cache", "answers"],
    )
    .output()
    .unwrap();
    assert_eq!(output.status.code(), Some(7));
    let stderr = String::from_utf8_lossy(&output.stderr).replace(&server.host(), "HOST");
    assert!(
        stderr.starts_with("warning: aws: HOST answers 404 Not Found; the catalog's "),
        "{stderr}"
    );
    assert!(
        stderr.contains(" prices stay, the newest of 2026-07-20, "),
        "{stderr}"
    );
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    for line in [
        "catalog is new: it starts as the catalog that sky was built with.\n",
        "Not asked: skypilot (aws): HOST has no list of aws\n",
        "azure: 5 prices of 2026-11-23: prices ",
        "Left out of azure:\n",
    ] {
        assert!(
            stdout.replace(&server.host(), "HOST").contains(line),
            "{line}{stdout}"
        );
    }
    assert!(sandbox.path("catalog/aws/us-east-1.csv").exists() && sandbox.path("answers").exists());
}

#[test]
fn all_fail() {
    let (sandbox, server) = (Sandbox::bert(), Server::new(|_| Answer::status(500)));
    let before = sandbox.read("catalog/prices.csv");
    let output = sky(&sandbox, &server, &[]).output().unwrap();
    insta::assert_snapshot!(said(&output, &server));
    assert_eq!(before, sandbox.read("catalog/prices.csv"));
    let plan = sandbox
        .sky(&["plan", "--catalog", "catalog"])
        .output()
        .unwrap();
    assert_eq!(plan.status.code(), Some(0));
}

#[test]
fn errors_of_use() {
    let (sandbox, server) = (Sandbox::bert(), Server::new(azure));
    let mut text = String::new();
    for args in [
        &["--cloud", "was"][..],
        &["--source", "azur"],
        &["--source", "catalog"],
        &["--from", "no/such"],
        &["--from", "no/such", "--catalog", "job.toml"],
        &["--timeout", "0"],
    ] {
        text.push_str(&said(
            &sky(&sandbox, &server, args).output().unwrap(),
            &server,
        ));
    }
    let mut wrong = sky(&sandbox, &server, &[]);
    text.push_str(&said(
        &wrong
            .env("SKY_AZURE_PRICES_URL", "prices")
            .output()
            .unwrap(),
        &server,
    ));
    insta::assert_snapshot!(text);
}

#[test]
fn an_interrupt_leaves_the_catalog_and_what_was_fetched() {
    let slow = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let is_slow = slow.clone();
    let server = Server::new(move |request| match request.path.contains("$skip=1000") {
        true if is_slow.load(Ordering::SeqCst) => {
            azure(request).late(std::time::Duration::from_secs(20))
        }
        _ => azure(request),
    });
    let sandbox = Sandbox::bert();
    let before = sandbox.read("catalog/prices.csv");
    let args = ["--source", "azure", "--cache", "answers"];
    let child = sky(&sandbox, &server, &args)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while !server
        .paths()
        .iter()
        .any(|path| path.contains("$skip=1000"))
    {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    server.asked();
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    insta::assert_snapshot!(said(&output, &server));
    assert_eq!(before, sandbox.read("catalog/prices.csv"));
    // The next one goes on.
    slow.store(false, Ordering::SeqCst);
    let output = sky(&sandbox, &server, &args).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("azure: goes on after page 1\n"));
    assert_eq!(server.asked().len(), 2);
}

/// What an AWS account sees, by the forms of EC2's own API.
#[cfg(feature = "aws")]
#[test]
fn spot_prices_of_an_account() {
    let page = |rows: &[(&str, &str, &str)], next: &str| {
        let items: String = rows
            .iter()
            .map(|(machine, zone, price)| {
                format!(
                    "<item><instanceType>{machine}</instanceType><productDescription>Linux/UNIX</productDescription>\
                     <spotPrice>{price}</spotPrice><timestamp>2026-11-23T01:00:00.000Z</timestamp>\
                     <availabilityZone>{zone}</availabilityZone></item>"
                )
            })
            .collect();
        format!(
            "<DescribeSpotPriceHistoryResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>1</requestId>\
             <spotPriceHistorySet>{items}</spotPriceHistorySet><nextToken>{next}</nextToken></DescribeSpotPriceHistoryResponse>"
        )
    };
    let types = "<DescribeInstanceTypesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>2</requestId>\
         <instanceTypeSet><item><instanceType>g99.xlarge</instanceType><processorInfo><supportedArchitectures>\
         <item>x86_64</item></supportedArchitectures></processorInfo><vCpuInfo><defaultVCpus>4</defaultVCpus></vCpuInfo>\
         <memoryInfo><sizeInMiB>16384</sizeInMiB></memoryInfo><gpuInfo><gpus><item><name>L4</name>\
         <manufacturer>NVIDIA</manufacturer><count>1</count></item></gpus></gpuInfo></item></instanceTypeSet>\
         </DescribeInstanceTypesResponse>";
    let first = page(
        &[
            ("m5.large", "us-east-1a", "0.041"),
            ("m5.large", "us-east-1b", "0.039"),
        ],
        "more",
    );
    let second = page(
        &[
            ("g99.xlarge", "us-east-1a", "0.25"),
            ("m5.xlarge", "us-east-1a", "0.0"),
        ],
        "",
    );
    let server = Server::new(move |request| match request.body.as_str() {
        body if body.contains("DescribeInstanceTypes") => Answer::ok(types),
        body if body.contains("NextToken=more") => Answer::ok(second.clone()),
        body if body.contains("DescribeSpotPriceHistory") => Answer::ok(first.clone()),
        _ => Answer::status(400),
    });
    let sandbox = Sandbox::new();
    let update = |key: bool| {
        let mut command = sky(
            &sandbox,
            &server,
            &["--source", "aws-spot", "--region", "us-east-1"],
        );
        if key {
            command
                .env("AWS_ACCESS_KEY_ID", "test")
                .env("AWS_SECRET_ACCESS_KEY", "test");
        }
        command
            .env("AWS_ENDPOINT_URL_EC2", server.address())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .output()
            .unwrap()
    };
    let output = update(true);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output, &server));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1  aws: a price of 0"));
    let rows = sandbox.read("catalog/aws/us-east-1.csv");
    let row = |name: &str| {
        rows.lines()
            .find(|row| row.starts_with(name))
            .unwrap_or_default()
            .to_owned()
    };
    assert!(
        row("m5.large,").contains(",0.039,aws-spot-"),
        "{}",
        row("m5.large,")
    );
    assert!(
        row("g99.xlarge,").starts_with("g99.xlarge,,,0.25,aws-spot-"),
        "{}",
        row("g99.xlarge,")
    );
    let machines = sandbox.read("catalog/aws/machines.csv");
    assert!(
        machines.contains("\ng99.xlarge,4,16,L4,1,x86_64,"),
        "{machines}"
    );
    // Without credentials it is said what is missing.
    let output = update(false);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there are no AWS credentials"));
}

#[test]
fn every_cache_is_the_users_alone_and_a_catalog_is_not() {
    let (sandbox, server) = (Sandbox::bert(), Server::new(azure));
    std::fs::create_dir(sandbox.path("home")).unwrap();
    let home = sandbox.path("home");
    for more in [&[][..], &["--cache", "kept/here"]] {
        let words = [&["--catalog", "new"][..], more].concat();
        let output = sky(&sandbox, &server, &words)
            .env("HOME", &home)
            .env("SKY_GCP_API_KEY", "key")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(7), "{output:?}");
    }
    let locked = sandbox
        .sky(&["catalog", "lock", "--catalog", "catalog"])
        .env("HOME", &home)
        .output()
        .unwrap();
    assert_eq!(locked.status.code(), Some(0), "{locked:?}");
    for (folder, least) in [("home/.cache/sky", 4), ("kept/here", 3)] {
        let folder = sandbox.path(folder);
        let count = files(&folder);
        assert!(count >= least, "{}: {count}", folder.display());
        let open = open_to_others(&folder, &|_| true);
        assert!(open.is_empty(), "{}", open.join("\n"));
    }
    // Nothing else was made below HOME.
    let names: Vec<_> = std::fs::read_dir(&home)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, [".cache"]);
    // What the user has asked for is readable like any other file.
    for (name, wanted) in [
        ("new", 0o755),
        ("new/catalog.toml", 0o644),
        ("sky.lock", 0o644),
    ] {
        let found = std::fs::metadata(sandbox.path(name)).unwrap();
        assert_eq!(found.permissions().mode() & 0o777, wanted, "{name}");
    }
}
