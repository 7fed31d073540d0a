//! Policies: accounts, objectives, ways to buy, and rules of labels.

use super::*;

#[test]
fn accounts_read_as_they_are_written() {
    let policy = policy::parse("policy.toml", POLICY).unwrap().value;
    assert_eq!(
        policy.accounts["aws"].used_this_month,
        Some(Bytes(80_000_000_000))
    );
    let quota = |name: &str| policy.quotas[&Pattern(name.into())].clone();
    let aws = quota("aws");
    assert_eq!(
        (aws.vcpu_thousandths, aws.instances, aws.accelerators),
        (Some(64_500), Some(20), Some(8))
    );
    let cards = BTreeMap::from([("V100".to_owned(), 4), ("tpu-v3".to_owned(), 0)]);
    assert_eq!(
        (
            quota("aws:us-east-1").by_accelerator,
            quota("aws:us-east-1").accelerators
        ),
        (cards, None)
    );
    assert_eq!(quota("gcp:*").instances, Some(1000));
    let links: Vec<(&str, &str, i64)> = policy
        .links
        .iter()
        .map(|link| (link.from.0.as_str(), link.to.0.as_str(), link.rate.0))
        .collect();
    let (cents, us, eu) = (
        20_000_000,
        ("aws:us-east-1", "gcp:us-*", 0),
        ("aws:eu-*", "azure:*"),
    );
    assert_eq!(links, [us, (eu.0, eu.1, cents), (eu.1, eu.0, cents)]);
    assert_eq!(policy.keep, Some(Millis(7 * 86_400_000)));
}

#[test]
fn policies_come_back_from_json() {
    for text in [
        POLICY,
        "[objective]\nweights = { time = 2.5 }\n[spot]\nallocation = \"cheapest\"\n",
    ] {
        let policy = policy::parse("policy.toml", text).unwrap().value;
        let json = serde_json::to_string(&policy).unwrap();
        assert_eq!(serde_json::from_str::<Policy>(&json).unwrap(), policy);
    }
}

#[test]
fn objectives_have_an_order_or_weights() {
    let read = |line: &str| {
        let text = format!("[objective]\n{line}\n");
        policy::parse("policy.toml", &text)
            .map(|parsed| (parsed.value.minimize, parsed.value.hour.map(|hour| hour.0)))
    };
    for line in [
        "",
        "minimize = \"cost\"",
        "minimize = [\"cost\"]",
        "minimize = [\"cost\", \"time\"]",
    ] {
        assert_eq!(read(line).unwrap(), (Objective::Cost, None), "{line}");
    }
    for line in ["minimize = \"time\"", "minimize = [\"time\", \"cost\"]"] {
        assert_eq!(read(line).unwrap(), (Objective::Time, None), "{line}");
    }
    let hour = |line: &str| read(line).ok().and_then(|(_, hour)| hour);
    assert_eq!(
        hour("weights = { cost = 1, time = 2.5 }"),
        Some(2_500_000_000)
    );
    assert_eq!(
        hour("minimize = \"cost\"\nweights = { time = 0.000000001 }"),
        Some(1)
    );
    assert_eq!(hour("weights = { cost = 3, time = 1 }"), Some(333_333_333));
    assert_eq!(hour("weights = { cost = 1e9, time = 1e-9 }"), None);
}

#[test]
fn ways_to_buy() {
    let read = |lines: &str| {
        let policy = policy::parse("policy.toml", &format!("[spot]\n{lines}\n")).unwrap();
        (
            policy.value.allow_spot,
            policy.value.allocation,
            policy.warnings.len(),
        )
    };
    assert_eq!(
        read("allocation = \"spot\""),
        (None, Some(Allocation::Spot), 0)
    );
    assert_eq!(
        read("allow = true\nallocation = \"cheapest\""),
        (Some(true), Some(Allocation::Cheapest), 0)
    );
    assert_eq!(
        read("allow = true\nallocation = \"on-demand\""),
        (Some(true), Some(Allocation::OnDemand), 0)
    );
    assert_eq!(
        read("allow = false\nallocation = \"on-demand\""),
        (Some(false), Some(Allocation::OnDemand), 0)
    );
    assert_eq!(
        read("allow = false\nallocation = \"cheapest\""),
        (Some(false), Some(Allocation::Cheapest), 1)
    );
    let job = job::parse(
        "job.toml",
        "name = \"j\"\n[stages.s]\nduration = \"1 h\"\nallocation = \"spot\"\n",
    )
    .unwrap();
    let policy = policy::parse(
        "policy.toml",
        "[spot]\nallow = false\nallocation = \"on-demand\"\n",
    )
    .unwrap();
    insta::assert_snapshot!(check(&job, &policy), @"
    policy.toml:2:1: warning: stage `s` asks for spot machines only, which are not allowed
    policy.toml:3:1: warning: every stage says itself how its machines are bought
    ");
}

#[test]
fn a_policy_reads_as_it_is_written() {
    let parsed = policy::parse("policy.toml", POLICY).unwrap();
    assert_eq!(parsed.warnings, []);
    let policy = parsed.value;
    assert_eq!(policy.minimize, Objective::Time);
    assert_eq!(
        (policy.deadline, policy.budget),
        (Some(Millis(21_600_000)), Some(Money(60_000_000)))
    );
    assert_eq!(policy.residency["default"].len(), 28);
    assert_eq!(
        policy.residency["personal"],
        ["DE".to_owned(), "FR".to_owned()].into()
    );
    assert!(policy.exclude_cloud_act && policy.allow_spot == Some(true));
    assert_eq!(
        policy.trust["personal"],
        [Tee::Sgx, Tee::SevSnp, Tee::Tdx].into()
    );
    assert_eq!(policy.partitions, ["us-gov".to_owned()].into());
    assert_eq!(policy.clouds.deny, [Pattern("oci".into())].into());
    assert!(policy.places.permits("azure:westeurope") && !policy.places.permits("aws:eu-west-2"));
}

#[test]
fn an_empty_policy_is_the_default() {
    assert_eq!(
        policy::parse("policy.toml", "").unwrap().value,
        Policy::default()
    );
    assert_eq!(
        policy::parse("policy.toml", "# nothing\r\n").unwrap().value,
        Policy::default()
    );
}

#[test]
fn a_rule_for_a_label_that_nothing_carries_is_an_error_unless_it_is_optional() {
    let job = job::parse("job.toml", JOB).unwrap();
    for (table, list) in [
        ("residency", "[\"DE\"]"),
        ("trust", "\"tdx\""),
        ("certifications", "[\"C5\"]"),
    ] {
        let errors = |rule: &str| {
            let policy =
                policy::parse("policy.toml", &format!("[{table}]\nsecret = {rule}\n")).unwrap();
            assert_eq!(policy.warnings, [], "{table} {rule}");
            check(&job, &policy).list.len()
        };
        assert_eq!(errors(list), 1, "{table}");
        assert_eq!(errors(&format!("{{ in = {list} }}")), 1, "{table}");
        assert_eq!(
            errors(&format!("{{ in = {list}, optional = false }}")),
            1,
            "{table}"
        );
        assert_eq!(
            errors(&format!("{{ in = {list}, optional = true }}")),
            0,
            "{table}"
        );
        // Marked as optional, the rule is the same for data that does carry it.
        let read = |text: &str| policy::parse("policy.toml", text).unwrap().value;
        let plain = read(&format!("[{table}]\npersonal = {list}\n"));
        let marked = read(&format!(
            "[{table}.personal]\nin = {list}\noptional = true\n"
        ));
        assert_eq!(marked.optional_labels, [format!("{table}.personal")].into());
        assert_eq!(
            Policy {
                optional_labels: Default::default(),
                ..marked
            },
            plain
        );
    }
    let said = |text: &str| policy::parse("policy.toml", text).unwrap_err().to_string();
    assert!(
        said("[residency]\nsecret = { optional = true }\n")
            .contains("the rule for `secret` has no `in`")
    );
    assert!(
        said("[residency]\nsecret = { in = [\"EU\"], optinal = true }\n")
            .contains("unknown key `optinal`")
    );
}

#[test]
fn a_label_that_is_almost_that_of_a_rule_is_said() {
    let job = job::parse("job.toml", &JOB.replace("personal", "personnal")).unwrap();
    let rule = "[residency]\npersonal = { in = [\"DE\"], optional = true }\n";
    let found = check_labels(&job, &policy::parse("policy.toml", rule).unwrap());
    assert_eq!(found.list.len(), 1);
    assert!(
        found.list[0]
            .message
            .contains("no rule of the policy is about the label `personnal`"),
        "{found}"
    );
    let other = "[residency]\nconfidential = { in = [\"DE\"], optional = true }\n";
    assert_eq!(
        check_labels(&job, &policy::parse("policy.toml", other).unwrap()).list,
        []
    );
}

#[test]
fn shipped_policies_say_what_their_names_say() {
    let names: Vec<&str> = shipped::names().collect();
    assert_eq!(
        names,
        [
            "cheapest",
            "confidential",
            "deadline-6h",
            "eu-only",
            "fastest",
            "no-us-cloud-act"
        ]
    );
    let read = |name: &str| policy::parse(name, shipped::text(name).unwrap()).unwrap();
    assert!(names.iter().all(|name| read(name).warnings.is_empty()));
    assert_eq!(read("cheapest").value, Policy::default());
    assert_eq!(read("fastest").value.minimize, Objective::Time);
    assert_eq!(read("deadline-6h").value.deadline, Some(Millis(21_600_000)));
    let eu = read("eu-only").value.residency.remove("default").unwrap();
    assert!(eu.contains("IE") && !eu.contains("GB") && !eu.contains("CH"));
    assert!(read("no-us-cloud-act").value.exclude_cloud_act);
    assert_eq!(
        read("confidential").value.trust["default"],
        [Tee::Sgx, Tee::SevSnp, Tee::Tdx].into()
    );
    assert_eq!(shipped::text("slowest"), None);
}
