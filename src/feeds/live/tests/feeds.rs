//! What each feed's rows become.

use super::*;

#[test]
fn azure() {
    let (bench, server) = (Bench::new(), Server::new(good));
    let update = bench.update(&["azure"], &bench.settings(&server));
    insta::assert_snapshot!(ends(&update, &server), @"azure azure: updated of 2026-11-23: 3 new, 0 rose, 1 fell, 0 same, 0 gone");
    insta::assert_snapshot!(bench.rows("azure/prices.csv"), @r"
    instance_type,on_demand,source,spot,spot_source,region
    Standard_D2_v3,0.096,azure-retail-2026-11-23,0.0192,,eastus
    Standard_D2_v3,0.12,azure-retail-2026-11-23,,,westeurope
    Standard_D4_v3,0.192,azure-retail-2026-11-23,,,eastus
    ");
    insta::assert_snapshot!(left(&update), @r"
    2 azure: Windows
    1 azure: a price of 0
    1 azure: another operating system or software
    1 azure: another row of the same machine
    1 azure: another service (Storage)
    1 azure: cloud services
    1 azure: dedicated host
    1 azure: for development and test only
    1 azure: for larger volumes only
    1 azure: low priority
    1 azure: no longer in force
    1 azure: no price
    1 azure: no region or no instance type
    1 azure: not by the hour (1 GB)
    1 azure: not in US dollars (EUR)
    1 azure: not yet in force
    1 azure: reservation
    1 azure: unknown region (marseast)
    1 azure: vCPUs and memory of the instance type are not known
    ");
    insta::assert_snapshot!(bench.head(&server), @r#"
    format = 1

    [sources.azure-retail-2026-11-23]
    date = "2026-11-23"
    about = "Azure Retail Prices API: Linux machines, on demand and spot"
    url = "http://HOST/api/retail/prices"
    list = "full"

    [sources.old]
    date = "2026-01-01"
    about = "the old list"
    "#);
    insta::assert_snapshot!(server.paths().join("\n"), @r"
    /api/retail/prices?api-version=2023-01-01-preview&$filter=serviceName%20eq%20%27Virtual%20Machines%27%20and%20priceType%20eq%20%27Consumption%27
    /api/retail/prices?api-version=2023-01-01-preview&$filter=serviceName%20eq%20%27Virtual%20Machines%27&$skip=1000
    /api/retail/prices?api-version=2023-01-01-preview&$filter=serviceName%20eq%20%27Virtual%20Machines%27&$skip=2000
    ");
    // The other clouds are as they were.
    assert_eq!(bench.rows("aws/prices.csv"), FILES[3].1);
}

#[test]
fn aws() {
    let (bench, server) = (Bench::new(), Server::new(good));
    let update = bench.update(&["aws"], &bench.settings(&server));
    insta::assert_snapshot!(ends(&update, &server), @r"
    aws aws eu-west-1: updated of 2026-11-18: 0 new, 0 rose, 1 fell, 0 same, 0 gone
    aws aws us-east-1: updated of 2026-11-20: 5 new, 1 rose, 0 fell, 0 same, 0 gone
    ");
    insta::assert_snapshot!(bench.rows("aws/prices.csv"), @r"
    instance_type,on_demand,source,spot,spot_source,region
    g4dn.2xlarge,0.752,aws-list-2026-11-20,,,us-east-1
    m5.large,0.097,aws-list-2026-11-20,0.03,old,us-east-1
    m5.large,0.107,aws-list-2026-11-18,,,eu-west-1
    m5.metal,4.608,aws-list-2026-11-20,,,us-east-1
    m5.xlarge,0.192,aws-list-2026-11-20,,,us-east-1
    m8g.large,0.0898,aws-list-2026-11-20,,,us-east-1
    u7in-32tb.224xlarge,407.68,aws-list-2026-11-20,,,us-east-1
    ");
    insta::assert_snapshot!(bench.rows("aws/machines.csv"), @r"
    instance_type,vcpus,memory_gib,accelerator,count,arch,source
    g4dn.2xlarge,8,32,T4,1,x86_64,aws-sizes-2026-08
    g4dn.xlarge,4,16,T4,1,x86_64,
    m5.large,2,8,,,x86_64,
    m5.metal,96,384,,,x86_64,
    m5.xlarge,2,8,,,x86_64,
    m8g.large,2,8,,,arm64,
    u7in-32tb.224xlarge,896,32768,,,x86_64,
    ");
    insta::assert_snapshot!(left(&update), @r"
    3 aws: another operating system (RHEL, SUSE, Windows)
    3 aws: no machine (Data Transfer, Dedicated Host, Storage)
    2 aws: capacity reservation (AllocatedCapacityReservation, UnusedCapacityReservation)
    2 aws: dedicated host or other tenancy (Dedicated, Reserved)
    2 aws: reserved term
    1 aws: a price of 0
    1 aws: a zone outside of the region (us-east-1-bos-1)
    1 aws: another licence (Bring your own license)
    1 aws: another row of the same machine
    1 aws: another way of buying (CapacityBlock)
    1 aws: for larger volumes only
    1 aws: no price
    1 aws: not in US dollars (CNY)
    1 aws: not yet in force
    1 aws: software counted in (SQL Std)
    1 aws: unknown region (us-west-2-lax-1)
    1 aws: which accelerators the instance type has is not known (g9z.xlarge)
    ");
    // A version is asked for once; what was read of it is kept, the large files are not.
    server.asked();
    let kept = |what: &str| {
        let bodies = std::fs::read_dir(bench.folder.path().join("cache/bodies")).unwrap();
        bodies
            .filter(|entry| {
                entry
                    .as_ref()
                    .unwrap()
                    .path()
                    .extension()
                    .is_some_and(|end| end == what)
            })
            .count()
    };
    assert_eq!(
        (kept("made"), kept("json"), kept("body"), kept("part")),
        (2, 2, 0, 0)
    );
}

#[test]
fn aws_where_a_mirror_has_the_json_form_only() {
    let (csv, json) = (Bench::new(), Bench::new());
    let (server, mirror) = (
        Server::new(good),
        Server::new(|request: &Request| match request.path.rsplit('/').next() {
            Some("index.csv") => Answer::status(404),
            Some("index.json") if request.path.contains("us-east-1") => {
                Answer::ok(feed("aws-us-east-1.json"))
            }
            _ => good(request),
        }),
    );
    let only = |bench: &Bench, server: &Server| {
        let regions = vec![Pattern("us-*".to_owned())];
        let wanted = SourceSelection {
            sources: vec!["aws".to_owned()],
            regions,
            ..SourceSelection::default()
        };
        left(&bench.update_of(&wanted, &bench.settings(server)).unwrap())
    };
    assert_eq!(only(&csv, &server), only(&json, &mirror));
    for name in ["aws/prices.csv", "aws/machines.csv"] {
        assert_eq!(csv.rows(name), json.rows(name));
    }
}

#[test]
fn gcp() {
    let (bench, server) = (Bench::new(), Server::new(good));
    let update = bench.update(&["gcp"], &bench.settings(&server));
    insta::assert_snapshot!(ends(&update, &server), @"gcp gcp: updated of 2026-11-23: 21 new, 0 rose, 0 fell, 0 same, 0 gone");
    insta::assert_snapshot!(bench.rows("gcp/prices.csv"), @r"
    instance_type,on_demand,source,spot,spot_source,region
    2xT4+n1-standard-8,1.079998,gcp-billing-2026-11-23,,,us-central1
    2xT4+n1-standard-8,1.079998,gcp-billing-2026-11-23,,,us-east1
    a2-ultragpu-1g,5.06879789,gcp-billing-2026-11-23,,,us-central1
    a2-ultragpu-1g,5.06879789,gcp-billing-2026-11-23,,,us-east1
    e2-medium,0.033503,gcp-billing-2026-11-23,,,us-central1
    e2-medium,0.033503,gcp-billing-2026-11-23,,,us-east1
    n1-standard-8,0.379998,gcp-billing-2026-11-23,,,us-central1
    n1-standard-8,0.379998,gcp-billing-2026-11-23,,,us-east1
    n2-standard-8,0.388472,gcp-billing-2026-11-23,0.094056,,us-central1
    n2-standard-8,0.388472,gcp-billing-2026-11-23,0.094056,,us-east1
    t2d-standard-1,0.039,gcp-billing-2026-11-23,,,us-central1
    t2d-standard-1,0.039,gcp-billing-2026-11-23,,,us-east1
    tpu-v3-32,32,gcp-billing-2026-11-23,,,us-central1
    tpu-v3-8,8,gcp-billing-2026-11-23,2.4,,us-central1
    tpu-v3-8,8,gcp-billing-2026-11-23,2.4,,us-east1
    tpu-v5litepod-4,4.8,gcp-billing-2026-11-23,,,us-central1
    tpu-v5litepod-4,4.8,gcp-billing-2026-11-23,,,us-east1
    ");
    insta::assert_snapshot!(left(&update), @r"
    3 gcp: the parts of the machine have no prices, or are not known (c3-standard-4, c4a-standard-1, n2-standard-8-lssd)
    2 gcp: another SKU of the same part
    2 gcp: reserved or for a fixed time
    1 gcp: a premium on top of another price
    1 gcp: a price of 0
    1 gcp: committed use
    1 gcp: custom sizes
    1 gcp: no machine (Network)
    1 gcp: no price
    1 gcp: not by the hour (GiBy.mo)
    1 gcp: not in US dollars (EUR)
    1 gcp: not yet in force
    1 gcp: sole tenancy
    1 gcp: unknown region (mars1)
    ");
    // The key is sent, in no address, and kept nowhere.
    let asked = server.asked();
    assert!(asked.iter().all(
        |request| request.headers["x-goog-api-key"] == "secret-key" && request.body.is_empty()
    ));
    insta::assert_snapshot!(asked.iter().map(|request| request.path.as_str()).collect::<Vec<_>>().join("\n"), @r"
    /v1/services/6F81-5844-456A/skus?currencyCode=USD&pageSize=5000
    /v1/services/6F81-5844-456A/skus?currencyCode=USD&pageSize=5000&pageToken=AHOI%3D%2F2
    /v1/services/E000-3F24-B8AA/skus?currencyCode=USD&pageSize=5000
    ");
}

#[test]
fn gcp_without_a_key() {
    let (bench, server) = (Bench::new(), Server::new(good));
    let settings = UpdateSettings {
        gcp_key: None,
        ..bench.settings(&server)
    };
    let wanted = SourceSelection {
        clouds: vec!["gcp".to_owned()],
        ..SourceSelection::default()
    };
    let update = bench.update_of(&wanted, &settings).unwrap();
    insta::assert_snapshot!(ends(&update, &server), @r"
    skypilot gcp: skipped: HOST has no list of gcp
    gcp gcp: skipped: it needs a key: set SKY_GCP_API_KEY or GOOGLE_API_KEY: console.cloud.google.com/apis/credentials makes one
    ");
    // Asked for by name, it is a failure.
    insta::assert_snapshot!(ends(&bench.update(&["gcp"], &settings), &server), @"gcp gcp: failed: it needs a key: set SKY_GCP_API_KEY or GOOGLE_API_KEY: console.cloud.google.com/apis/credentials makes one; kept 0");
}

#[test]
fn skypilot() {
    let (bench, server) = (Bench::new(), Server::new(good));
    let wanted = SourceSelection {
        clouds: ["aws", "nebius", "verda", "ibm"]
            .map(str::to_owned)
            .to_vec(),
        sources: vec!["skypilot".to_owned()],
        ..SourceSelection::default()
    };
    let update = bench.update_of(&wanted, &bench.settings(&server)).unwrap();
    insta::assert_snapshot!(ends(&update, &server), @r"
    skypilot aws: updated of 2026-11-19: 3 new, 1 rose, 0 fell, 1 same, 0 gone
    skypilot ibm: failed: HOST has no list of ibm; kept 0
    skypilot nebius: updated of 2026-11-02: 3 new, 0 rose, 0 fell, 0 same, 0 gone
    skypilot verda: updated of 2026-11-23: 3 new, 0 rose, 0 fell, 0 same, 0 gone
    ");
    insta::assert_snapshot!(["aws", "nebius", "verda"].map(|cloud| bench.rows(&format!("{cloud}/prices.csv"))).join("\n"), @r"
    instance_type,on_demand,source,spot,spot_source,region
    g4dn.xlarge,0.526,aws-2026-11-19,0.2,,us-east-1
    m5.large,0.096,aws-2026-11-19,0.0349,,us-east-1
    m5.large,0.2,old,,,eu-west-1
    m6g.large,0.077,aws-2026-11-19,,,us-east-1

    instance_type,on_demand,source,spot,spot_source,region
    cpu-e2_2vcpu-8gb,0.0496,nebius-2026-11-02,,,eu-north1
    gpu-h200-sxm_8gpu-128vcpu-1600gb,28,nebius-2026-11-02,11.6,,eu-north1

    instance_type,on_demand,source,spot,spot_source,region
    1B200.30V,4.89,verda-2026-11-23,1.712,,FIN-03
    2B300.60V,,,4.893,verda-2026-11-23,FIN-03
    ");
    insta::assert_snapshot!(left(&update), @"1 aws: unknown region (mars-1)");
    let notes: Vec<&String> = update
        .outcomes
        .iter()
        .flat_map(|outcome| &outcome.report.notes)
        .collect();
    insta::assert_snapshot!(notes.iter().map(|note| note.as_str()).collect::<Vec<_>>().join("\n"), @"When SkyPilot's list of verda was changed is not known: it is dated by the day when it was first fetched.");
    insta::assert_snapshot!(bench.head(&server), @r#"
    format = 1

    [sources.aws-2026-11-19]
    date = "2026-11-19"
    about = "SkyPilot catalog of aws, schema 8"
    url = "http://HOST/catalogs/v8/aws/vms.csv"

    [sources.aws-sizes-2026-08]
    date = "2026-08-21"
    about = "Sizes and cards of EC2 machine types as EC2's DescribeInstanceTypes gives them, printed in Karpenter's reference of instance types"
    url = "https://karpenter.sh/docs/reference/instance-types/"

    [sources.datasheets-2026-11]
    date = "2026-11-22"
    about = "Dense rates per card as vendors publish them, from general knowledge and not yet checked against the datasheets where the evidence column names no page. Where one name stands for several boards, the slower one (PCIe)"
    url = "https://www.nvidia.com/en-us/data-center/"

    [sources.nebius-2026-11-02]
    date = "2026-11-02"
    about = "SkyPilot catalog of nebius, schema 7"
    url = "http://HOST/catalogs/v7/nebius/vms.csv"

    [sources.old]
    date = "2026-01-01"
    about = "the old list"

    [sources.verda-2026-11-23]
    date = "2026-11-23"
    about = "SkyPilot catalog of verda, schema 8"
    url = "http://HOST/catalogs/v8/verda/vms.csv"
    "#);
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
    // Not what needs an account.
    let sources = ["skypilot", "aws", "aws-spot-advisor"]
        .map(str::to_owned)
        .to_vec();
    let wanted = SourceSelection {
        clouds: vec!["aws".to_owned()],
        sources,
        ..SourceSelection::default()
    };
    let update = bench.update_of(&wanted, &bench.settings(&server)).unwrap();
    insta::assert_snapshot!(ends(&update, &server), @r"
    skypilot aws: updated of 2026-11-20: 3 new, 1 rose, 0 fell, 1 same, 0 gone
    aws aws eu-west-1: updated of 2026-11-18: 0 new, 0 rose, 1 fell, 0 same, 0 gone
    aws aws us-east-1: updated of 2026-11-20: 5 new, 1 rose, 0 fell, 0 same, 0 gone
    aws-spot-advisor aws: updated of 2026-11-18: 0 new, 0 rose, 0 fell, 0 same, 0 gone
    ");
    let rows = bench.rows("aws/prices.csv");
    insta::assert_snapshot!(rows.lines().filter(|row| row.starts_with("m5.large")).collect::<Vec<_>>().join("\n"), @r"
    m5.large,0.097,aws-list-2026-11-20,0.0349,aws-2026-11-20,us-east-1
    m5.large,0.107,aws-list-2026-11-18,,,eu-west-1
    ");
    insta::assert_snapshot!(bench.rows("interruptions.csv"), @r"
    cloud,instance_type,percent_per_month,regions,source
    aws,m5.large,10,us-east-1,spot-advisor-2026-11-18
    ");
}

#[test]
fn a_catalog_from_an_address_or_a_folder() {
    let own = Bench::new();
    let head = HEAD
        .replace("sources.old", "sources.acme")
        .replace("2026-01-01", "2026-11-01");
    let files = |index: &str| {
        BTreeMap::from([
            ("/acme/catalog.toml".to_owned(), index.to_owned()),
            (
                "/acme/places.csv".to_owned(),
                "place,country\nacme:vienna,AT\n".to_owned(),
            ),
            (
                "/acme/acme/machines.csv".to_owned(),
                "instance_type,vcpus,memory_gib\nbig,64,256\n".to_owned(),
            ),
            (
                "/acme/acme/prices.csv".to_owned(),
                "region,instance_type,on_demand,source\nvienna,big,1.25,acme\n".to_owned(),
            ),
            (
                "/acme/machines.csv".to_owned(),
                "cloud,instance_type,vcpus,memory_gib\nacme,small,1,2\n".to_owned(),
            ),
            (
                "/acme/prices.csv".to_owned(),
                "place,instance_type,on_demand,source\nacme:vienna,small,0.01,acme\n".to_owned(),
            ),
        ])
    };
    let served = |index: &str| {
        let files = files(index);
        Server::new(move |request: &Request| {
            files
                .get(&request.path)
                .map_or(Answer::status(404), |text| Answer::ok(text.clone()))
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
    insta::assert_snapshot!(ends(&update, &usual), @"catalog: updated of 2026-11-01: 1 new, 0 rose, 0 fell, 0 same, 0 gone");
    assert!(own.rows("acme/prices.csv").contains("small,0.01,acme"));
    let listed = served(&format!(
        "files = [\"places.csv\", \"acme/machines.csv\", \"acme/prices.csv\"]\n{head}"
    ));
    let bench = Bench::new();
    let update = from(
        &bench,
        &listed,
        format!("{}/acme/catalog.toml", listed.address()),
    );
    insta::assert_snapshot!(ends(&update, &listed), @"catalog: updated of 2026-11-01: 1 new, 0 rose, 0 fell, 0 same, 0 gone");
    assert!(bench.rows("acme/prices.csv").contains("big,1.25,acme"));
    // Again: nothing has changed.
    assert_eq!(
        from(&bench, &listed, format!("{}/acme", listed.address())).changed,
        Vec::<String>::new()
    );
    let other = Bench::new();
    let update = from(&other, &listed, own.out().display().to_string());
    assert_eq!(update.outcomes[0].status, SourceStatus::Updated);
    assert!(other.rows("acme/prices.csv").contains("small,0.01,acme"));
    // A list that leads elsewhere, and a source of the same name that is another one.
    let astray = served(&format!("files = [\"../secret.csv\"]\n{head}"));
    let update = from(&bench, &astray, format!("{}/acme", astray.address()));
    insta::assert_snapshot!(ends(&update, &astray), @"catalog: failed: catalog.toml names a file that is not a table beside it: `../secret.csv`; kept 0");
    let same = served(&HEAD.replace("the old list", "mine"));
    let update = from(&bench, &same, format!("{}/acme", same.address()));
    insta::assert_snapshot!(ends(&update, &same), @"catalog: failed: its source `old` is another one than the catalog's source of that name; kept 0");
}

#[test]
fn a_new_folder_starts_as_the_shipped_catalog() {
    let (bench, server) = (Bench::new(), Server::new(good));
    std::fs::remove_dir_all(bench.out()).unwrap();
    let update = bench.update(&["azure"], &bench.settings(&server));
    assert!(update.created && update.changed.contains(&"aws/us-east-1.csv".to_owned()));
    let shipped = files::shipped().unwrap();
    let aws = shipped
        .iter()
        .find(|file| file.name == "aws/us-east-1.csv")
        .unwrap();
    assert_eq!(bench.rows("aws/us-east-1.csv"), aws.text);
    let rows = bench.rows("azure/eastus.csv");
    assert!(
        rows.contains("Standard_D2_v3,0.096,azure-retail-2026-11-23,0.0192,\n"),
        "{rows}"
    );
    // A folder with something else in it is not touched.
    std::fs::remove_dir_all(bench.out()).unwrap();
    crate::util::file::write_below(&bench.out(), "notes.txt", b"mine").unwrap();
    let error = bench
        .try_update(&["azure"], &bench.settings(&server))
        .unwrap_err();
    assert_eq!(
        (error.message.as_str(), bench.rows("notes.txt").as_str()),
        ("this folder is not a catalog", "mine")
    );
}

#[test]
fn names_that_nobody_has_are_refused() {
    let (bench, server) = (Bench::new(), Server::new(good));
    let refused = |clouds: &[&str], sources: &[&str]| {
        let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let wanted = SourceSelection {
            clouds: texts(clouds),
            sources: texts(sources),
            ..SourceSelection::default()
        };
        bench
            .update_of(&wanted, &bench.settings(&server))
            .unwrap_err()
            .to_string()
            .replace("aws-spot, ", "")
    };
    insta::assert_snapshot!([refused(&["was"], &[]), refused(&[], &["azur"]), refused(&["ovh"], &["azure"])].join("\n"), @r"
    --cloud: no source has the cloud `was`; the clouds are aws, azure, cudo, do, fluidstack, gcp, hyperbolic, hyperstack, ibm, jarvislabs, lambda, lium, mithril, nebius, oci, ovh, paperspace, primeintellect, runpod, scaleway, scp, seeweb, shadeform, simplepod, spheron, vast, verda, yotta
    --source: there is no source `azur`; the sources are skypilot, azure, gcp, aws, aws-spot-advisor, catalog
    --cloud: none of the named sources has that cloud; leave --source out
    ");
    assert_eq!(server.paths(), Vec::<String>::new());
}

#[test]
fn only_the_regions_that_are_asked_for() {
    let (bench, server) = (Bench::new(), Server::new(good));
    let regions = ["aws:us-*", "westeurope"]
        .map(|text| Pattern(text.to_owned()))
        .to_vec();
    let wanted = SourceSelection {
        sources: ["aws", "azure"].map(str::to_owned).to_vec(),
        regions,
        ..SourceSelection::default()
    };
    let update = bench.update_of(&wanted, &bench.settings(&server)).unwrap();
    insta::assert_snapshot!(ends(&update, &server), @r"
    azure azure: updated of 2026-11-23: 1 new, 0 rose, 0 fell, 0 same, 0 gone
    aws aws us-east-1: updated of 2026-11-20: 5 new, 1 rose, 0 fell, 0 same, 0 gone
    ");
    assert!(!server.paths().iter().any(|path| path.contains("eu-west-1")));
    insta::assert_snapshot!(bench.rows("azure/prices.csv"), @r"
    instance_type,on_demand,source,spot,spot_source,region
    Standard_D2_v3,0.1,old,,,eastus
    Standard_D2_v3,0.12,azure-retail-2026-11-23,,,westeurope
    ");
}
