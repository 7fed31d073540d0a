//! Servers and lines that fail: the old catalog stays, and what can be gone on with is.

use super::*;
use std::sync::Mutex;

/// A server that fails in some way for Azure's first page so often, and is good then.
fn failing(times: usize, fail: impl Fn() -> Answer + Send + Sync + 'static) -> Server {
    Server::new(move |request| {
        if request.before < times && !request.path.contains("skip") {
            fail()
        } else {
            good(request)
        }
    })
}

#[test]
fn a_busy_server_is_asked_again_when_it_says() {
    let later = "Fri, 31 Dec 1999 23:59:59 GMT";
    for (status, after) in [(429, "0"), (503, later), (500, "soon"), (408, "0")] {
        let (bench, server) = (
            Bench::new(),
            failing(2, move || Answer::status(status).with("Retry-After", after)),
        );
        let update = bench.update(&["azure"], &bench.settings(&server));
        assert_eq!(update.outcomes[0].status, SourceStatus::Updated, "{status}");
        assert_eq!(server.asked().len(), 5);
        assert_eq!(bench.told(&server).lines().count(), 2);
    }
    // It is waited as long as the server says.
    let (bench, server) = (
        Bench::new(),
        failing(1, || Answer::status(429).with("Retry-After", "1")),
    );
    let begin = std::time::Instant::now();
    bench.update(&["azure"], &bench.settings(&server));
    assert!(begin.elapsed() >= Duration::from_secs(1));
    // But not for an hour.
    let (bench, server) = (
        Bench::new(),
        failing(9, || Answer::status(429).with("Retry-After", "3600")),
    );
    insta::assert_snapshot!(ends(&bench.update(&["azure"], &bench.settings(&server)), &server), @"azure azure: failed: HOST answers 429 Too Many Requests; the server asks to wait 3600 s; kept 1 of 2026-01-01");
}

#[test]
fn a_source_that_fails_leaves_the_old_rows() {
    let fails: Vec<(&str, Server)> = vec![
        ("busy for ever", failing(9, || Answer::status(503))),
        ("not there", failing(9, || Answer::status(404))),
        ("no price list", failing(9, || Answer::ok("{\"Items\": 7}"))),
        (
            "an empty list",
            failing(9, || Answer::ok("{\"Items\": []}")),
        ),
        (
            "no JSON",
            failing(9, || Answer::ok("<html>sign in to this network</html>")),
        ),
        (
            "cut",
            failing(9, || Answer::ok(feed("azure-1.json")).cut(1000)),
        ),
        (
            "late",
            failing(9, || {
                Answer::ok(feed("azure-1.json")).late(Duration::from_secs(3))
            }),
        ),
        (
            "in circles",
            failing(9, || {
                Answer::status(302).with("Location", "/api/retail/prices?again")
            }),
        ),
        (
            "itself",
            failing(9, || Answer::status(302).with("Location", "/x")),
        ),
    ];
    let mut lines = Vec::new();
    for (name, server) in fails {
        let bench = Bench::new();
        let before = bench.bytes();
        let settings = UpdateSettings {
            timeout: Duration::from_millis(300),
            retries: 1,
            ..bench.settings(&server)
        };
        let update = bench.update(&["azure"], &settings);
        assert_eq!((update.changed.len(), update.created), (0, false));
        assert!(before == bench.bytes(), "{name}");
        lines.push(format!("{name}: {}", ends(&update, &server)));
    }
    insta::assert_snapshot!(lines.join("\n"), @r"
    busy for ever: azure azure: failed: HOST answers 503 Service Unavailable; kept 1 of 2026-01-01
    not there: azure azure: failed: HOST answers 404 Not Found; kept 1 of 2026-01-01
    no price list: azure azure: failed: page 1 of HOST: this is not a price list: invalid type: integer `7`, expected a sequence at line 1 column 11; kept 1 of 2026-01-01
    an empty list: azure azure: failed: there is no price in it; kept 1 of 2026-01-01
    no JSON: azure azure: failed: page 1 of HOST: this is not a price list: expected value at line 1 column 1; kept 1 of 2026-01-01
    cut: azure azure: failed: the answer of HOST broke off: end of file before message length reached; kept 1 of 2026-01-01
    late: azure azure: failed: HOST does not answer in time; kept 1 of 2026-01-01
    in circles: azure azure: failed: HOST redirects in a circle, or too often; kept 1 of 2026-01-01
    itself: azure azure: failed: HOST redirects in a circle, or too often; kept 1 of 2026-01-01
    ");
}

#[test]
fn no_network_at_all() {
    let (bench, server) = (Bench::new(), Server::new(good));
    let settings = UpdateSettings {
        retries: 0,
        ..bench.settings(&server)
    };
    let host = server.host();
    drop(server);
    let before = bench.bytes();
    // Nobody listens there any more.
    std::thread::sleep(Duration::from_millis(50));
    let mut update = bench.try_update(&[], &settings).unwrap();
    // It has no credentials here, with or without a network.
    update
        .outcomes
        .retain(|outcome| outcome.source != "aws-spot");
    assert!(
        update
            .outcomes
            .iter()
            .all(|outcome| matches!(outcome.status, SourceStatus::Failed(_)))
    );
    assert!(before == bench.bytes());
    let groups: Vec<String> = grouped(&update.outcomes)
        .iter()
        .map(|((source, why), group)| format!("{source} {}: {why}", group.len()))
        .collect();
    insta::assert_snapshot!(groups.join("\n").replace(&host, "HOST"), @r"
    aws 1: cannot connect to HOST: connection refused
    aws-spot-advisor 1: cannot connect to HOST: connection refused
    azure 1: cannot connect to HOST: connection refused
    gcp 1: cannot connect to HOST: connection refused
    skypilot 28: cannot connect to HOST: connection refused
    ");
}

#[test]
fn garbage_on_a_later_page_and_the_pages_before_it() {
    let broken = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let bad = broken.clone();
    let server = Server::new(move |request| {
        if request.path.contains("skip=1000") && bad.load(std::sync::atomic::Ordering::SeqCst) {
            return Answer::ok(&feed("azure-2.json")[..900]);
        }
        good(request)
    });
    let bench = Bench::new();
    let before = bench.bytes();
    let update = bench.update(&["azure"], &bench.settings(&server));
    insta::assert_snapshot!(ends(&update, &server), @"azure azure: failed: page 2 of HOST: this is not a price list: EOF while parsing a value at line 34 column 3; kept 1 of 2026-01-01");
    assert!(before == bench.bytes());
    // The next update goes on after the last good page, and then has nothing left to go on with.
    broken.store(false, std::sync::atomic::Ordering::SeqCst);
    server.asked();
    let update = bench.update(&["azure"], &bench.settings(&server));
    assert_eq!(update.outcomes[0].status, SourceStatus::Updated);
    assert_eq!(bench.told(&server), "azure: goes on after page 1");
    assert_eq!(server.asked().len(), 2);
    bench.update(&["azure"], &bench.settings(&server));
    assert_eq!(
        (bench.told(&server).as_str(), server.asked().len()),
        ("", 3)
    );
}

#[test]
fn a_place_in_a_list_that_the_server_forgot_starts_the_list_anew() {
    let stage = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let now = stage.clone();
    let server = Server::new(move |request| {
        match (
            request.path.contains("skip=1000"),
            now.load(std::sync::atomic::Ordering::SeqCst),
        ) {
            (true, 0) => Answer::status(500),
            (true, 1) if request.before == 0 => Answer::status(410),
            _ => good(request),
        }
    });
    let bench = Bench::new();
    let settings = UpdateSettings {
        retries: 0,
        ..bench.settings(&server)
    };
    bench.update(&["azure"], &settings);
    stage.store(1, std::sync::atomic::Ordering::SeqCst);
    server.asked();
    let update = bench.update(&["azure"], &settings);
    assert_eq!(update.outcomes[0].status, SourceStatus::Updated);
    assert_eq!(server.asked().len(), 4);
}

#[test]
fn pages_that_lead_in_a_circle() {
    let server = Server::new(|request| {
        let next = if request.path.contains("skip=1") {
            2
        } else {
            1
        };
        Answer::ok(format!(
            "{{\"Items\": [], \"NextPageLink\": \"https://prices.azure.com/api/retail/prices?$skip={next}\"}}"
        ))
    });
    let bench = Bench::new();
    insta::assert_snapshot!(ends(&bench.update(&["azure"], &bench.settings(&server)), &server), @"azure azure: failed: the pages of HOST lead in a circle; kept 1 of 2026-01-01");
    assert_eq!(server.asked().len(), 3);
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    let server = Server::new(|request| {
        let same = request
            .headers
            .get("if-none-match")
            .is_some_and(|tag| tag == "\"v1\"");
        match request.path.contains("vms.csv") || request.path.contains("index.csv") {
            true if same => Answer::status(304),
            true => good(request).with("ETag", "\"v1\""),
            false => good(request),
        }
    });
    let bench = Bench::new();
    let settings = bench.settings(&server);
    let wanted = SourceSelection {
        clouds: vec!["verda".to_owned()],
        sources: vec!["skypilot".to_owned()],
        ..SourceSelection::default()
    };
    let first = bench.update_of(&wanted, &settings).unwrap();
    bench.update(&["aws"], &settings);
    let bytes = bench.bytes();
    server.asked();
    let second = bench.update_of(&wanted, &settings).unwrap();
    let aws = bench.update(&["aws"], &settings);
    assert_eq!(
        (&first.outcomes[0].status, &second.outcomes[0].status),
        (&SourceStatus::Updated, &SourceStatus::Unchanged)
    );
    assert!(
        aws.outcomes
            .iter()
            .all(|outcome| outcome.status == SourceStatus::Unchanged)
    );
    assert!(bytes == bench.bytes());
    let conditional = |request: &&Request| request.headers.contains_key("if-none-match");
    assert_eq!(server.asked().iter().filter(conditional).count(), 3);
    // What was left out is said each time.
    assert_eq!(
        left(&aws).lines().count(),
        left(&bench.update(&["aws"], &settings)).lines().count()
    );
    // A catalog that lost the rows gets them back from what is kept.
    crate::util::file::write_below(&bench.out(), "aws/prices.csv", FILES[3].1.as_bytes()).unwrap();
    bench.update(&["aws"], &settings);
    assert!(bytes == bench.bytes());
}

#[test]
fn a_download_goes_on_where_it_broke_off() {
    let tag = std::sync::Arc::new(Mutex::new("\"v1\""));
    let now = tag.clone();
    let server = Server::new(move |request| {
        if !request.path.contains("us-east-1/index.csv") {
            return good(request);
        }
        let answer = Answer::ok(feed("aws-us-east-1.csv")).ranged(request, *now.lock().unwrap());
        if request.before == 0 {
            answer.cut(9000)
        } else {
            answer
        }
    });
    // In the same run.
    let whole = Bench::new();
    whole.update(&["aws"], &whole.settings(&server));
    assert!(
        whole
            .told(&server)
            .contains("aws us-east-1: goes on after 9000 bytes")
    );
    let again = server
        .asked()
        .into_iter()
        .filter_map(|request| request.headers.get("range").cloned())
        .collect::<Vec<_>>();
    assert_eq!(again, ["bytes=9000-"]);
    // In the next run.
    let bench = Bench::new();
    let update = bench.update(
        &["aws"],
        &UpdateSettings {
            retries: 0,
            ..bench.settings(&server)
        },
    );
    insta::assert_snapshot!(ends(&update, &server), @r"
    aws aws eu-west-1: updated of 2026-11-18: 0 new, 0 rose, 1 fell, 0 same, 0 gone
    aws aws us-east-1: failed: the answer of HOST broke off: end of file before message length reached; kept 2 of 2026-01-01
    ");
    let update = bench.update(&["aws"], &bench.settings(&server));
    assert!(bench.told(&server).contains("goes on after 9000 bytes"));
    assert!(
        update
            .outcomes
            .iter()
            .all(|outcome| !matches!(outcome.status, SourceStatus::Failed(_)))
    );
    assert!(whole.bytes() == bench.bytes());
    // The file is another one by then: it is fetched from its beginning.
    server.asked();
    let bench = Bench::new();
    bench.update(
        &["aws"],
        &UpdateSettings {
            retries: 0,
            ..bench.settings(&server)
        },
    );
    *tag.lock().unwrap() = "\"v2\"";
    bench.update(&["aws"], &bench.settings(&server));
    assert!(whole.bytes() == bench.bytes());
    assert_eq!(bench.told(&server), "");
}

#[test]
fn a_key_is_not_carried_to_another_host() {
    let other = Server::new(|_| Answer::ok("{\"skus\": []}"));
    let address = other.address();
    let server =
        Server::new(move |_| Answer::status(302).with("Location", &format!("{address}/skus")));
    let bench = Bench::new();
    insta::assert_snapshot!(ends(&bench.update(&["gcp"], &bench.settings(&server)), &server), @"gcp gcp: failed: HOST redirects to another host, which must not see the key; kept 0");
    assert_eq!(other.asked().len(), 0);
}

#[test]
fn one_that_fails_does_not_stop_the_others() {
    let server = Server::new(|request| match request.path.contains("eu-west-1") {
        true => Answer::status(403),
        false => good(request),
    });
    let bench = Bench::new();
    insta::assert_snapshot!(ends(&bench.update(&["aws"], &bench.settings(&server)), &server), @r"
    aws aws eu-west-1: failed: HOST answers 403 Forbidden; kept 1 of 2026-01-01
    aws aws us-east-1: updated of 2026-11-20: 5 new, 1 rose, 0 fell, 0 same, 0 gone
    ");
    assert!(
        bench
            .rows("aws/prices.csv")
            .contains("m5.large,0.2,old,,,eu-west-1\n")
    );
}

#[test]
fn two_updates_with_one_cache() {
    let (bench, server) = (Bench::new(), Server::new(good));
    let settings = bench.settings(&server);
    std::fs::create_dir_all(&settings.cache).unwrap();
    let held = update::lock_cache(&settings.cache).unwrap();
    assert_eq!(
        bench.try_update(&["azure"], &settings).unwrap_err().message,
        LOCKED
    );
    drop(held);
    bench.update(&["azure"], &settings);
}

#[test]
fn an_answer_that_the_catalog_cannot_hold_is_refused_alone() {
    let server = Server::new(|request| match request.path.as_str() {
        "/catalog.toml" => Answer::ok(HEAD.replace("sources.old", "sources.acme")),
        // A price of a place that is nowhere.
        "/prices.csv" => {
            Answer::ok("place,instance_type,on_demand,source\nacme:nowhere,m5.large,1,acme\n")
        }
        _ => good(request),
    });
    let bench = Bench::new();
    let mut settings = bench.settings(&server);
    settings.endpoints.own = Some(server.address());
    let update = bench.update(&["azure", "catalog"], &settings);
    let text = ends(&update, &server).replace(&bench.out().display().to_string(), "OUT");
    insta::assert_snapshot!(text, @r"
    azure azure: updated of 2026-11-23: 3 new, 0 rose, 1 fell, 0 same, 0 gone
    catalog: failed: OUT/acme/prices.csv:2:19: region: unknown place `acme:nowhere`; add it to places.csv; kept 0
    ");
    assert!(bench.rows("azure/prices.csv").contains("azure-retail"));
}

#[test]
fn a_server_that_is_given_up_is_not_asked_for_each_file() {
    let server = Server::new(|_| Answer::status(503));
    let bench = Bench::new();
    let update = bench.update(&["skypilot"], &bench.settings(&server));
    assert_eq!(update.outcomes.len(), skypilot_lists::CLOUDS.len());
    assert!(
        update
            .outcomes
            .iter()
            .all(|outcome| matches!(outcome.status, SourceStatus::Failed(_)))
    );
    // The first list's three attempts.
    assert_eq!(server.asked().len(), 3);
}

#[test]
fn what_was_not_used_for_long_is_dropped_from_the_cache() {
    let (bench, server) = (Bench::new(), Server::new(good));
    let settings = bench.settings(&server);
    bench.update(&["aws"], &settings);
    let old = settings.cache.join("bodies/0123.part");
    std::fs::write(&old, "a version of last year").unwrap();
    let count = || {
        std::fs::read_dir(settings.cache.join("bodies"))
            .unwrap()
            .count()
    };
    bench.update(&["aws"], &settings);
    assert_eq!(count(), 5);
    let year = Duration::from_secs(365 * 24 * 3600);
    std::fs::File::options()
        .write(true)
        .open(&old)
        .unwrap()
        .set_modified(std::time::SystemTime::now() - year)
        .unwrap();
    bench.update(&["aws"], &settings);
    assert_eq!((count(), old.exists()), (4, false));
}

/// One item that is not as the others is counted, and spoils nothing.
#[test]
fn an_odd_item_of_a_list_is_left_out_alone() {
    let odd = |text: &str, key: &str, item: &str| {
        text.replacen(
            &format!("\"{key}\": ["),
            &format!("\"{key}\": [\n{item},"),
            1,
        )
        .into_bytes()
    };
    let server = Server::new(move |request| {
        let whole = |name: &str| String::from_utf8(feed(name)).unwrap();
        match request.path.split('?').next().unwrap_or_default() {
            "/api/retail/prices" if !request.path.contains("skip") => Answer::ok(odd(
                &whole("azure-1.json"),
                "Items",
                "{\"currencyCode\": 7, \"retailPrice\": \"dear\"}, [], null, \"x\", {}",
            )),
            "/v1/services/E000-3F24-B8AA/skus" => Answer::ok(odd(
                &whole("gcp-tpu.json"),
                "skus",
                "{\"description\": [], \"category\": 7}, 7",
            )),
            _ => good(request),
        }
    });
    let bench = Bench::new();
    let update = bench.update(&["azure", "gcp"], &bench.settings(&server));
    let left = left(&update);
    assert!(
        update
            .outcomes
            .iter()
            .all(|outcome| outcome.status == SourceStatus::Updated),
        "{}",
        ends(&update, &server)
    );
    for line in [
        "3 azure: not of the form of the others",
        "2 gcp: not of the form of the others",
    ] {
        assert!(left.contains(line), "{line}\n{left}");
    }
}

/// Where nothing is taken, the reason names what the rows have instead.
#[test]
fn prices_in_another_currency_or_unit_are_named() {
    for (old, new, says) in [
        (
            "\"currencyCode\": \"USD\"",
            "\"currencyCode\": \"CHF\"",
            "gcp: not in US dollars (CHF",
        ),
        (
            "\"currencyCode\": \"USD\"",
            "\"other\": 1",
            "gcp: not in US dollars (it does not say",
        ),
        (
            "\"usageUnit\": \"h\"",
            "\"usageUnit\": \"d\"",
            "gcp: not by the hour (d",
        ),
    ] {
        let (old, new) = (old.to_owned(), new.to_owned());
        let server = Server::new(move |request| {
            let name = match request.path.split('?').next().unwrap_or_default() {
                "/v1/services/6F81-5844-456A/skus" => "gcp-tpu.json",
                "/v1/services/E000-3F24-B8AA/skus" => "gcp-tpu.json",
                _ => return Answer::status(404),
            };
            Answer::ok(String::from_utf8(feed(name)).unwrap().replace(&old, &new))
        });
        let bench = Bench::new();
        let end = ends(&bench.update(&["gcp"], &bench.settings(&server)), &server);
        assert!(
            end.contains("failed: there is no price in it; left out, ") && end.contains(says),
            "{says}\n{end}"
        );
    }
}

/// A list that ends in the middle of a row is refused, whoever cut it.
#[test]
fn a_list_that_was_cut_off_leaves_the_old_rows() {
    let whole = String::from_utf8(feed("skypilot-aws.csv")).unwrap();
    let last = whole.trim_end().rfind('\n').unwrap() + 1;
    for (text, says) in [
        (
            whole.trim_end().to_owned(),
            "ends in the middle of a row: it was cut off",
        ),
        (
            whole[..last + 3].to_owned(),
            "ends in the middle of a row: it was cut off",
        ),
        (
            whole[..last].to_owned() + "m5.large,,\n",
            "cells: the list was cut off; get the whole file again",
        ),
    ] {
        let sent = text.clone();
        let server = Server::new(move |request| match request.path.as_str() {
            "/catalogs/v8/aws/vms.csv" => Answer::ok(sent.clone()),
            _ => good(request),
        });
        let bench = Bench::new();
        let before = bench.bytes();
        let wanted = SourceSelection {
            clouds: vec!["aws".to_owned()],
            sources: vec!["skypilot".to_owned()],
            ..SourceSelection::default()
        };
        let end = ends(
            &bench.update_of(&wanted, &bench.settings(&server)).unwrap(),
            &server,
        );
        assert!(
            end.contains("failed: ") && end.contains(says),
            "{says}\n{end}"
        );
        assert!(before == bench.bytes());
    }
}

#[test]
fn a_region_that_nobody_has_is_refused() {
    let (bench, server) = (Bench::new(), Server::new(good));
    let refused = |clouds: &[&str], region: &str| {
        let wanted = SourceSelection {
            clouds: clouds.iter().map(|cloud| (*cloud).to_owned()).collect(),
            regions: vec![Pattern("us-east-1".to_owned()), Pattern(region.to_owned())],
            ..SourceSelection::default()
        };
        bench
            .update_of(&wanted, &bench.settings(&server))
            .unwrap_err()
            .to_string()
    };
    insta::assert_snapshot!(
        [
            refused(&[], "us-eats-1"),
            refused(&["aws"], "us-central1"),
            refused(&[], "aws:eu-wset-1"),
            refused(&[], "su-*"),
            refused(&["aws"], "mars"),
        ]
        .join("\n"),
        @r"
    --region: no place of the catalog matches `us-eats-1`; did you mean `us-east-1` or `us-east1`?
    --region: no place of aws matches `us-central1`; write a region such as us-east-1, a pattern such as `us-*`, or a place such as aws:us-east-1; `sky catalog show` has the clouds
    --region: no place of the catalog matches `aws:eu-wset-1`; did you mean `aws:eu-west-1`?
    --region: no place of the catalog matches `su-*`; did you mean `eu-north1` or `eu-west-1` or `us-central1`?
    --region: no place of aws matches `mars`; write a region such as us-east-1, a pattern such as `us-*`, or a place such as aws:us-east-1; `sky catalog show` has the clouds
    "
    );
    assert_eq!(server.paths(), Vec::<String>::new());
}

/// Gigabytes are not fetched by accident: how many there are is said, and what to ask for.
#[test]
fn large_lists_are_fetched_only_where_regions_are_named() {
    let server = Server::new(|request| match request.path.ends_with("index.csv") {
        true => good(request).sized(400_000_000),
        false => good(request),
    });
    let bench = Bench::new();
    let before = bench.bytes();
    let update = bench.update(&["aws"], &bench.settings(&server));
    insta::assert_snapshot!(ends(&update, &server), @"aws aws: failed: it has 2 files for the regions of the catalog, 800 MB in all: name regions with --region 'us-*', or all of them with --region '*'; kept 3 of 2026-01-01");
    assert!(before == bench.bytes());
    assert_eq!(
        server.paths(),
        ["/offers/v1.0/aws/AmazonEC2/current/region_index.json"]
    );
    let all = SourceSelection {
        sources: vec!["aws".to_owned()],
        regions: vec![Pattern("*".to_owned())],
        ..SourceSelection::default()
    };
    let update = bench.update_of(&all, &bench.settings(&server)).unwrap();
    assert!(
        update
            .outcomes
            .iter()
            .all(|outcome| outcome.status == SourceStatus::Updated),
        "{}",
        ends(&update, &server)
    );
    // What is kept costs nothing.
    let again = bench.update(&["aws"], &bench.settings(&server));
    assert!(
        again
            .outcomes
            .iter()
            .all(|outcome| outcome.status == SourceStatus::Unchanged),
        "{}",
        ends(&again, &server)
    );
}
