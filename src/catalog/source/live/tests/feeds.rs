//! What each feed's rows become.

use super::*;

#[test]
fn azure() {
    let (bench, server) = (Bench::new(), Server::new(good));
    let update = bench.update(&["azure"], &bench.settings(&server));
    insta::assert_snapshot!(ends(&update, &server), @"");
    insta::assert_snapshot!(bench.rows("azure/prices.csv"), @"");
    insta::assert_snapshot!(left(&update), @"");
    insta::assert_snapshot!(bench.rows("catalog.toml"), @"");
    insta::assert_snapshot!(server.paths().join("\n"), @"");
    // The other clouds are as they were.
    assert_eq!(bench.rows("aws/prices.csv"), FILES[3].1);
}

#[test]
fn aws() {
    let (bench, server) = (Bench::new(), Server::new(good));
    let update = bench.update(&["aws"], &bench.settings(&server));
    insta::assert_snapshot!(ends(&update, &server), @"");
    insta::assert_snapshot!(bench.rows("aws/prices.csv"), @"");
    insta::assert_snapshot!(bench.rows("aws/machines.csv"), @"");
    insta::assert_snapshot!(left(&update), @"");
    // A version is asked for once; what was read of it is kept, the large files are not.
    server.asked();
    let kept = |what: &str| {
        let bodies = std::fs::read_dir(bench.folder.path().join("cache/bodies")).unwrap();
        bodies.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|end| end == what)).count()
    };
    assert_eq!((kept("made"), kept("json"), kept("body"), kept("part")), (2, 2, 0, 0));
}

#[test]
fn gcp() {
    let (bench, server) = (Bench::new(), Server::new(good));
    let update = bench.update(&["gcp"], &bench.settings(&server));
    insta::assert_snapshot!(ends(&update, &server), @"");
    insta::assert_snapshot!(bench.rows("gcp/prices.csv"), @"");
    insta::assert_snapshot!(left(&update), @"");
    // The key is sent, in no address, and kept nowhere.
    let asked = server.asked();
    assert!(asked.iter().all(|request| request.headers["x-goog-api-key"] == "secret-key"));
    insta::assert_snapshot!(asked.iter().map(|request| request.path.as_str()).collect::<Vec<_>>().join("\n"), @"");
}

#[test]
fn gcp_without_a_key() {
    let (bench, server) = (Bench::new(), Server::new(good));
    let settings = Settings { gcp_key: None, ..bench.settings(&server) };
    let wanted = Wanted { clouds: vec!["gcp".to_owned()], ..Wanted::default() };
    let update = bench.update_of(&wanted, &settings).unwrap();
    insta::assert_snapshot!(ends(&update, &server), @"");
    // Asked for by name, it is a failure.
    insta::assert_snapshot!(ends(&bench.update(&["gcp"], &settings), &server), @"");
}

#[test]
fn skypilot() {
    let (bench, server) = (Bench::new(), Server::new(good));
    let wanted = Wanted {
        clouds: ["aws", "nebius", "verda", "ibm"].map(str::to_owned).to_vec(),
        sources: vec!["skypilot".to_owned()],
    };
    let update = bench.update_of(&wanted, &bench.settings(&server)).unwrap();
    insta::assert_snapshot!(ends(&update, &server), @"");
    insta::assert_snapshot!(["aws", "nebius", "verda"].map(|cloud| bench.rows(&format!("{cloud}/prices.csv"))).join("\n"), @"");
    insta::assert_snapshot!(left(&update), @"");
    let notes: Vec<&String> = update.outcomes.iter().flat_map(|outcome| &outcome.report.notes).collect();
    insta::assert_snapshot!(notes.iter().map(|note| note.as_str()).collect::<Vec<_>>().join("\n"), @"");
    insta::assert_snapshot!(bench.rows("catalog.toml"), @"");
}

#[test]
fn what_a_cloud_says_itself_wins_on_the_same_day() {
    let (bench, server) = (
        Bench::new(),
        Server::new(|request: &Request| match request.path.as_str() {
            path if path.starts_with("/commits") => {
                Answer::ok(r#"[{"commit":{"committer":{"date":"2026-11-20T23:59:59Z"}}}]"#)
            }
            _ => good(request),
        }),
    );
    let wanted = Wanted { clouds: vec!["aws".to_owned()], sources: vec![] };
    let update = bench.update_of(&wanted, &bench.settings(&server)).unwrap();
    insta::assert_snapshot!(ends(&update, &server), @"");
    let rows = bench.rows("aws/prices.csv");
    insta::assert_snapshot!(rows.lines().filter(|row| row.starts_with("m5.large")).collect::<Vec<_>>().join("\n"), @"");
    insta::assert_snapshot!(bench.rows("interruptions.csv"), @"");
}

#[test]
fn a_catalog_from_an_address_or_a_folder() {
    let own = Bench::new();
    let head = HEAD.replace("sources.old", "sources.acme").replace("2026-01-01", "2026-11-01");
    let files = |index: &str| {
        BTreeMap::from([
            ("/acme/catalog.toml".to_owned(), index.to_owned()),
            ("/acme/places.csv".to_owned(), "place,country\nacme:vienna,AT\n".to_owned()),
            ("/acme/acme/machines.csv".to_owned(), "instance_type,vcpus,memory_gib\nbig,64,256\n".to_owned()),
            (
                "/acme/acme/prices.csv".to_owned(),
                "region,instance_type,on_demand,source\nvienna,big,1.25,acme\n".to_owned(),
            ),
            ("/acme/machines.csv".to_owned(), "cloud,instance_type,vcpus,memory_gib\nacme,small,1,2\n".to_owned()),
            (
                "/acme/prices.csv".to_owned(),
                "place,instance_type,on_demand,source\nacme:vienna,small,0.01,acme\n".to_owned(),
            ),
        ])
    };
    let served = |index: &str| {
        let files = files(index);
        Server::new(move |request: &Request| {
            files.get(&request.path).map_or(Answer::status(404), |text| Answer::ok(text.clone()))
        })
    };
    let from = |bench: &Bench, server: &Server, own: String| {
        let mut settings = bench.settings(server);
        settings.endpoints.own = Some(own);
        bench.update(&["catalog"], &settings)
    };
    // The usual names, the index's own list, a folder.
    let usual = served(&head);
    let update = from(&own, &usual, format!("{}/acme/", usual.address()));
    insta::assert_snapshot!(ends(&update, &usual), @"");
    assert!(own.rows("acme/prices.csv").contains("small,0.01,acme"));
    let listed = served(&format!("files = [\"places.csv\", \"acme/machines.csv\", \"acme/prices.csv\"]\n{head}"));
    let bench = Bench::new();
    let update = from(&bench, &listed, format!("{}/acme/catalog.toml", listed.address()));
    insta::assert_snapshot!(ends(&update, &listed), @"");
    assert!(bench.rows("acme/prices.csv").contains("big,1.25,acme"));
    // Again: nothing has changed.
    assert_eq!(from(&bench, &listed, format!("{}/acme", listed.address())).changed, Vec::<String>::new());
    let other = Bench::new();
    let update = from(&other, &listed, own.out().display().to_string());
    assert_eq!(update.outcomes[0].status, Status::Updated);
    assert!(other.rows("acme/prices.csv").contains("small,0.01,acme"));
    // A list that leads elsewhere, and a source of the same name that is another one.
    let astray = served(&format!("files = [\"../secret.csv\"]\n{head}"));
    let update = from(&bench, &astray, format!("{}/acme", astray.address()));
    insta::assert_snapshot!(ends(&update, &astray), @"");
    let same = served(&HEAD.replace("the old list", "mine"));
    let update = from(&bench, &same, format!("{}/acme", same.address()));
    insta::assert_snapshot!(ends(&update, &same), @"");
}

#[test]
fn a_new_folder_starts_as_the_shipped_catalog() {
    let (bench, server) = (Bench::new(), Server::new(good));
    std::fs::remove_dir_all(bench.out()).unwrap();
    let update = bench.update(&["azure"], &bench.settings(&server));
    assert!(update.created && update.changed.contains(&"aws/us-east-1.csv".to_owned()));
    let shipped = files::shipped().unwrap();
    let aws = shipped.iter().find(|file| file.name == "aws/us-east-1.csv").unwrap();
    assert_eq!(bench.rows("aws/us-east-1.csv"), aws.text);
    let rows = bench.rows("azure/eastus.csv");
    assert!(rows.contains("Standard_D2_v3,0.096,azure-retail-2026-11-23,0.0192,\n"), "{rows}");
    // A folder with something else in it is not touched.
    std::fs::remove_dir_all(bench.out()).unwrap();
    crate::util::file::write_below(&bench.out(), "notes.txt", b"mine").unwrap();
    let error = bench.try_update(&["azure"], &bench.settings(&server)).unwrap_err();
    assert_eq!((error.message.as_str(), bench.rows("notes.txt").as_str()), ("this folder is no catalog", "mine"));
}

#[test]
fn names_that_nobody_has_are_refused() {
    let (bench, server) = (Bench::new(), Server::new(good));
    let refused = |clouds: &[&str], sources: &[&str]| {
        let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let wanted = Wanted { clouds: texts(clouds), sources: texts(sources) };
        bench.update_of(&wanted, &bench.settings(&server)).unwrap_err().to_string()
    };
    insta::assert_snapshot!([refused(&["was"], &[]), refused(&[], &["azur"]), refused(&["ovh"], &["azure"])].join("\n"), @"");
    assert_eq!(server.paths(), Vec::<String>::new());
}
