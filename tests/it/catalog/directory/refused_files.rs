//! Files with mistakes, which are named at their place.

use super::*;

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

/// A small file of a cloud, without a signature.
pub(super) fn plain(cloud: &str, date: &str, more: &str, price: &str) -> String {
    format!(
        "format = 1\ncloud = \"{cloud}\"\nabout = \"A made-up provider\"\ndate = \"{date}\"\nvalid_until = \"2099-12-31\"\n\
         [places.fra1]\ncountry = \"DE\"\n[machines.c8]\nvcpus = 8\nmemory_gib = 32\n{more}\
         [[prices]]\nplaces = [\"*\"]\ninstance_type = \"c8\"\non_demand = {price}\n"
    )
}

pub(super) fn unsigned(sandbox: &Sandbox, text: &str) {
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
