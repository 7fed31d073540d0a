//! Every kind of mistake, and what is said about it. The snapshots are the messages.

use crate::render::diagnostic;
use crate::spec::{Diagnostic, Diagnostics, SourceFile, job, policy};

/// A stage and a name, for mistakes elsewhere.
const REST: &str = "name = \"j\"\n[stages.s]\nduration = \"1 h\"\n";

/// A mistake in a job: what it is, and lines that stand under `name` and a stage `s` that
/// writes `out`; they may begin with keys of `s`.
const IN_STAGE: &[(&str, &str)] = &[
    ("unknown key", "durration = \"2 h\""),
    (
        "unknown key in an inline table",
        "needs = { memroy = \"32 GiB\", cpu = 8 }",
    ),
    ("unit of no size", "needs = { memory = \"32 gigs\" }"),
    ("number without a unit", "needs = { memory = 32 }"),
    ("negative number", "needs = { cpus = -8 }"),
    ("not a number", "needs = { cpus = nan }"),
    ("infinite", "needs = { cpus = inf }"),
    ("text for a number", "needs = { cpus = \"8\" }"),
    ("too many cpus", "needs = { cpus = 1e9 }"),
    (
        "unknown environments",
        "needs = { tee = [\"sev_snp\", \"enclave\"] }",
    ),
    (
        "nothing accepted",
        "needs = { tee = [], accelerators = [] }",
    ),
    (
        "accelerator without a count",
        "needs = { accelerators = [\"V100:four\", \"V100:0\", \"\"] }",
    ),
    ("architectures", "needs = { arch = \"amd64\" }\nnodes = 0"),
    (
        "pattern without a cloud",
        "needs = { places = [\"aws\", \"eu west\", \"AWS:eu-*\"] }",
    ),
    (
        "pattern of an instance type",
        "needs = { instance_types = [\"aws:m5\"] }",
    ),
    (
        "list of the wrong type",
        "reads = { a = 1 }\nremoves = [1, \"a\", true]",
    ),
    (
        "unknown artifact",
        "reads = [\"prep.token\"]\n[stages.prep]\nduration = \"1 h\"\nwrites = { tokens = \"1 GB\" }",
    ),
    (
        "stage for an artifact",
        "reads = [\"prep\"]\n[stages.prep]\nduration = \"1 h\"\nwrites = { tokens = \"1 GB\" }",
    ),
    (
        "stage that writes nothing",
        "reads = [\"prep\", \"prep.x\"]\n[stages.prep]\nduration = \"1 h\"",
    ),
    (
        "unknown dataset",
        "reads = [\"review\"]\n[datasets.reviews]\nat = \"aws:eu-west-1\"\nsize = \"1 GB\"",
    ),
    (
        "part of a dataset",
        "reads = [\"reviews.en\"]\n[datasets.reviews]\nat = \"aws:eu-west-1\"\nsize = \"1 GB\"",
    ),
    ("no artifact name", "reads = [\"a.b.c\", \"\", \".x\"]"),
    (
        "unknown stage",
        "after = [\"pep\", \"prep.tokens\"]\n[stages.prep]\nduration = \"1 h\"",
    ),
    (
        "after a dataset",
        "after = [\"reviews\"]\n[datasets.reviews]\nat = \"aws:eu-west-1\"\nsize = \"1 GB\"",
    ),
    ("waits for itself", "after = [\"s\"]"),
    (
        "cycle",
        "reads = [\"b.x\"]\n[stages.a]\nduration = \"1 h\"\nafter = [\"s\"]\nwrites = { y = \"1 B\" }\n\
         [stages.b]\nduration = \"1 h\"\nreads = [\"a.y\"]\nwrites = { x = \"1 B\" }",
    ),
    (
        "two inputs of one name",
        "reads = [\"a.x\", \"b.x\"]\n[stages.a]\nduration = \"1 h\"\nwrites = { x = \"1 B\" }\n\
         [stages.b]\nduration = \"1 h\"\nwrites = { x = \"1 B\" }",
    ),
    (
        "names",
        "writes = { \"a.b\" = \"1 B\", \"\" = \"1 B\", \"größe\" = \"1 B\", \"-x\" = \"1 B\" }",
    ),
    (
        "stage and dataset of one name",
        "[datasets.s]\nat = \"aws:eu-west-1\"\nsize = \"1 GB\"",
    ),
    (
        "absolute and outer files",
        "files = [\"/etc/passwd\", \"../x.py\", \"a/../../x\", \"C:/x\", \"~/x\", \"\", \"ok.py\"]",
    ),
    ("empty command", "run = \" \""),
    ("gang sizes", "nodes = 1001"),
    ("gang of halves", "nodes = 1.5"),
    ("work besides duration", "work = { vcpu = \"1 h\" }"),
    (
        "sizes",
        "writes = { a = \"2 EB\", b = \"1001 PB\", c = \"-1 GB\", d = \"nan GB\", e = 5, f = \"1 gb\" }",
    ),
    (
        "listed twice",
        "files = [\"a.py\", \"a.py\"]\nremoves = [\"personal\"]",
    ),
    ("the reserved label", "removes = [\"default\"]"),
    ("date", "run = 2024-01-01"),
    ("dataset without anything", "[datasets.reviews]"),
    (
        "dataset places",
        "[datasets.a]\nat = \"eastus\"\nsize = \"1 GB\"\n[datasets.b]\nat = \"Azure:eastus\"\nsize = \"1 GB\"",
    ),
    (
        "dataset path",
        "[datasets.a]\npath = \"/data/reviews\"\nsize = \"1 GB\"",
    ),
    (
        "removes what nobody has",
        "removes = [\"personal\"]\nreads = [\"r\"]\n[datasets.r]\npath = \"r\"\nsize = \"1 B\"\nlabels = [\"personnel\"]",
    ),
    (
        "counts",
        "count = 0\nnodes = true\n[stages.t]\nduration = \"1 h\"\ncount = 10001",
    ),
    ("too many machines", "count = 1000\nnodes = 1000"),
    ("sum of copies", "count = 2000\nwrites = { a = \"1 PB\" }"),
    (
        "copies that do not match",
        "count = 4\nreads = [\"a.x[i]\", \"a.y[i]\"]\n[stages.a]\nduration = \"1 h\"\nwrites = { x = \"1 B\" }",
    ),
    (
        "elements that are none",
        "reads = [\"d[i]\", \"a.x[0]\", \"a.x[j]\", \"a[i].x\", \"a.x[\", \"a.[i]\"]\n[stages.a]\nduration = \"1 h\"\n\
         writes = { x = \"1 B\" }\n[datasets.d]\npath = \"d\"\nsize = \"1 B\"",
    ),
    (
        "element of one",
        "reads = [\"a.x[i]\"]\n[stages.a]\nduration = \"1 h\"\nwrites = { x = \"1 B\" }",
    ),
    (
        "element and whole",
        "count = 2\nreads = [\"a.x[i]\", \"a.x\"]\n[stages.a]\ncount = 2\nduration = \"1 h\"\nwrites = { x = \"1 B\" }",
    ),
    ("name with a bracket", "writes = { \"x[i]\" = \"1 B\" }"),
    ("deadline of a stage", "deadline = \"0 h\""),
    ("allocations", "allocation = \"spot-if-availible\""),
    ("allocation as a flag", "allocation = true"),
    (
        "checkpoints",
        "checkpoint = { every = \"0 m\", save = 5, restart = \"11 y\", size = \"10\", cost = 1 }",
    ),
    ("checkpoint as a time", "checkpoint = \"30 m\""),
    (
        "checkpoint on demand",
        "checkpoint = { save = \"1 m\" }\nallocation = \"on-demand\"",
    ),
    (
        "a secret as it is",
        "[stages.s.secrets]\nTOKEN = \"hf_abcdef\"",
    ),
    (
        "variables",
        "env = { \"1x\" = \"a\", SKY_X = \"a\", A = 7, B = \"env:\", C = \"fine\" }\nsecrets = { C = \"env:C\" }",
    ),
    (
        "secrets",
        "secrets = { \"1x\" = \"env:A\", SKY_X = \"env:A\", A = \"env:\", B = \"file:/etc/key\", C = 7 }",
    ),
    (
        "latency",
        "needs.latency = { to = \"EU\", at_most = \"0 ms\" }",
    ),
    (
        "latency to nowhere",
        "needs.latency = { to = \"Germany\", in = \"50 ms\" }",
    ),
    ("latency as a time", "needs = { latency = \"50 ms\" }"),
    ("no alternatives", "needs.any_of = []"),
    (
        "alternatives of the wrong type",
        "needs.any_of = { cpus = 8 }",
    ),
    (
        "alternatives as texts",
        "needs.ordered = [\"T4\", { cpus = 8 }]",
    ),
    (
        "two kinds of alternatives",
        "needs = { any_of = [{ cpus = 8 }, { arch = \"arm64\" }], ordered = [{}, { cpus = 8 }] }",
    ),
    (
        "alternatives within",
        "needs.any_of = [{ cpus = 8, any_of = [{ cpus = 4 }] }, { cpu = 9 }]",
    ),
    (
        "alternatives that are one",
        "needs = { cpus = 8, any_of = [{ cpus = 8 }, {}] }",
    ),
    ("one alternative", "needs = { any_of = [{ cpus = 8 }] }"),
    (
        "what no alternative leaves",
        "needs = { cpus = 2, memory = \"1 GiB\", ordered = [{ cpus = 8 }, { cpus = 9 }] }",
    ),
    (
        "sum of sizes",
        "writes = { a = \"600 PB\", b = \"600 PB\" }",
    ),
];

/// Whole job files.
const WHOLE_JOB: &[(&str, &str)] = &[
    ("empty", ""),
    ("no name", "[stages.s]\nduration = \"1 h\"\n"),
    ("no stages", "name = \"j\"\n[stages]\n"),
    ("stages of the wrong type", "name = 5\nstages = []\n"),
    ("no time", "name = \"j\"\n[stages.s]\n"),
    (
        "time without a unit",
        "name = \"j\"\n[stages.s]\nduration = 33\n",
    ),
    (
        "text without a unit",
        "name = \"j\"\n[stages.s]\nduration = \"33\"\n",
    ),
    (
        "unknown unit",
        "name = \"j\"\n[stages.s]\nduration = \"33 parsecs\"\n",
    ),
    (
        "unit in words",
        "name = \"j\"\n[stages.s]\nduration = \"33 minutes\"\n",
    ),
    ("zero", "name = \"j\"\n[stages.s]\nduration = \"0 s\"\n"),
    (
        "negative",
        "name = \"j\"\n[stages.s]\nduration = \"-3 h\"\n",
    ),
    (
        "eleven years",
        "name = \"j\"\n[stages.s]\nduration = \"4018 d\"\n",
    ),
    (
        "ten thousand years",
        "name = \"j\"\n[stages.a]\nnodes = 1000\nduration = \"3652 d\"\n[stages.b]\nduration = \"3652 d\"\n",
    ),
    (
        "time of nothing",
        "name = \"j\"\n[stages.s]\nduration = { V100 = \"1 h\" }\n",
    ),
    (
        "times and accelerators apart",
        "name = \"j\"\n[stages.s]\nneeds.accelerators = [\"V100:4\", \"T4\"]\n\
         duration = { \"V100:8\" = \"1 h\", T4 = \"1 h\", \"T4:1\" = \"2 h\", \"x:y\" = \"1 h\" }\n",
    ),
    (
        "times and alternatives apart",
        "name = \"j\"\n[stages.s]\nneeds = { any_of = [{ accelerators = [\"T4\"] }, { accelerators = [\"L4\"] }] }\n\
         duration = { T4 = \"1 h\", V100 = \"1 h\" }\n",
    ),
    (
        "an alternative without a time",
        "name = \"j\"\n[stages.s]\nneeds.ordered = [{ accelerators = [\"T4\"] }, { cpus = 64 }]\nduration = { T4 = \"1 h\" }\n",
    ),
    (
        "spread of the wrong type",
        "name = \"j\"\n[stages.s]\nduration = \"1 h\"\n[spread]\nstages = [\"s\"]\n",
    ),
    (
        "spreads",
        "name = \"j\"\n[stages.web-a]\nduration = \"1 h\"\ncount = 3\n\
         [[spread]]\n\
         [[spread]]\nstages = [\"web-*\", \"wep-a\", \"db-*\"]\nover = \"region\"\nat_most = 0\n\
         [[spread]]\nstages = []\nover = \"cloud\"\nat_most = 1\n\
         [[spread]]\nstages = [\"web-a\"]\nover = \"cloud\"\nat_most = 1\nsurvivors = 2\n\
         [[spread]]\nstages = [\"web-a\"]\nover = \"cloud\"\nsurvivors = 3\n\
         [[spread]]\nstages = [\"web-a\"]\nover = \"place\"\n\
         [[spread]]\nstages = [\"web-a\"]\nover = \"place\"\nat_least = 2\n",
    ),
    (
        "spread of what is one",
        "name = \"j\"\n[stages.s]\nduration = \"1 h\"\nnodes = 4\n[[spread]]\nstages = \"s\"\nover = \"place\"\nat_most = 1\n",
    ),
    (
        "work twice",
        "name = \"j\"\n[stages.s]\nwork = { fp16 = \"1 EFLOP\", bf16 = \"1 EFLOP\" }\n",
    ),
    (
        "no amount of work",
        "name = \"j\"\n[stages.s]\nwork = { efficiency = \"30 %\" }\n",
    ),
    (
        "unknown precision",
        "name = \"j\"\n[stages.s]\nwork = { fp61 = \"1 EFLOP\" }\n",
    ),
    (
        "unit of work",
        "name = \"j\"\n[stages.s]\nwork = { fp16 = \"1 EFLOPS\" }\n",
    ),
    (
        "work without a unit",
        "name = \"j\"\n[stages.s]\nwork = { fp16 = 3.2e18 }\n",
    ),
    (
        "share of the peak",
        "name = \"j\"\n[stages.s]\nwork = { fp16 = \"1 EFLOP\", efficiency = \"140 %\" }\n",
    ),
    (
        "share of a cpu",
        "name = \"j\"\n[stages.s]\nwork = { vcpu = \"1 h\", efficiency = 40 }\n",
    ),
    (
        "syntax",
        "name = \"j\n[stages.s]\nduration = = \"1 h\"\nnodes 4\n",
    ),
    (
        "key twice",
        "name = \"j\"\nname = \"k\"\n[stages.s]\nduration = \"1 h\"\n[stages.s]\nduration = \"2 h\"\n",
    ),
    (
        "name of a job",
        "name = \"my job\"\n[stages.s]\nduration = \"1 h\"\n",
    ),
    (
        "unknown table",
        "name = \"j\"\n[stage.s]\nduration = \"1 h\"\n",
    ),
];

const IN_POLICY: &[(&str, &str)] = &[
    ("unknown table", "[limit]\nbudget = \"$60\"\n"),
    (
        "unknown key",
        "[limits]\nmax_cost = \"$60\"\ndead_line = \"6 h\"\n",
    ),
    ("objective", "[objective]\nminimize = \"costs\"\n"),
    (
        "objective spelt otherwise",
        "[objective]\nminimise = \"cost\"\n",
    ),
    ("budget in euros", "[limits]\nbudget = \"€60\"\n"),
    ("budget as a number", "[limits]\nbudget = 60\n"),
    ("negative budget", "[limits]\nbudget = \"$-60\"\n"),
    ("endless budget", "[limits]\nbudget = \"$2000000000000\"\n"),
    ("deadline at zero", "[limits]\ndeadline = \"0 h\"\n"),
    (
        "countries",
        "[residency]\ndefault = [\"UK\", \"eu\", \"Germany\", \"XX\"]\n",
    ),
    ("no country", "[residency]\npersonal = []\n"),
    (
        "no country in common",
        "[residency]\ndefault = [\"EU\"]\npersonal = [\"CH\"]\n",
    ),
    ("label", "[residency]\n\"my data\" = [\"EU\"]\n"),
    ("law", "[operators]\nus_cloud_act = true\n"),
    ("law's choice", "[operators]\nus_cloud_act = \"excluded\"\n"),
    ("environments", "[trust]\npersonal = [\"SGX\", \"tpm\"]\n"),
    (
        "place among clouds",
        "[clouds]\ndeny = [\"aws:us-east-1\", \"OCI\"]\n",
    ),
    ("cloud among places", "[places]\nallow = [\"aws\"]\n"),
    ("allow nothing", "[clouds]\nallow = []\n"),
    (
        "allowed and denied",
        "[clouds]\nallow = [\"aws\", \"gcp\"]\ndeny = [\"aws\"]\n",
    ),
    (
        "partitions",
        "[partitions]\nallow = [\"usgov\", \"cn-operated\", \"mars\"]\n",
    ),
    (
        "open partition",
        "[partitions]\nallow = [\"eu-sovereign\"]\n",
    ),
    (
        "no partition",
        "[partitions]\nallow = []\ndeny = [\"us-gov\"]\n",
    ),
    ("spot", "[spot]\nallow = \"no\"\n"),
    (
        "spot and no spot",
        "[spot]\nallocation = \"spot\"\nallow = false\n",
    ),
    (
        "on demand in other words",
        "[spot]\nallow = false\nallocation = \"cheapest\"\n",
    ),
    ("allocation", "[spot]\nallocation = \"on demand\"\n"),
    (
        "objectives",
        "[objective]\nminimize = [\"time\", \"money\", \"time\"]\n",
    ),
    ("no objective", "[objective]\nminimize = []\n"),
    (
        "weights of time first",
        "[objective]\nminimize = \"time\"\nweights = { time = 2 }\n",
    ),
    (
        "weights",
        "[objective]\nweights = { cost = 0, time = -1, risk = 2 }\n",
    ),
    (
        "half of the weights",
        "[objective]\nweights = { cost = 1 }\n",
    ),
    (
        "weights with units",
        "[objective]\nweights = { time = \"$2.50\" }\n",
    ),
    (
        "weights out of range",
        "[objective]\nweights = { cost = 0.000000001, time = 9e8 }\n",
    ),
    (
        "accounts",
        "[accounts.AWS]\nused_this_month = 80\n[accounts.\"aws:us-east-1\"]\n[accounts.\"*\"]\nused = \"1 GB\"\n",
    ),
    ("account as a size", "[accounts]\naws = \"80 GB\"\n"),
    (
        "quotas",
        "[quotas]\naws = { cpus = -1, instances = 1.5, accelerators = \"8\", gpus = 4 }\n\"*\" = { cpus = 1 }\n\
         \"aws:us east\" = { cpus = nan }\n\"Azure\" = 5\n",
    ),
    (
        "quota of nothing",
        "[quotas]\naws = { cpus = 0, instances = 0, accelerators = 0 }\ngcp = {}\n",
    ),
    (
        "quota of cards",
        "[quotas]\naws = { accelerators = { \"V100:4\" = 2, T4 = -1, \"\" = 1 } }\n",
    ),
    ("links of the wrong type", "[links]\nfrom = \"aws:*\"\n"),
    (
        "links",
        "[[links]]\n[[links]]\nfrom = \"aws\"\nto = [\"gcp:*\"]\nper_gb = 0\nboth = \"yes\"\n\
         [[links]]\nfrom = \"aws:*\"\nto = \"gcp:*\"\nper_gb = \"-$1\"\nprice = 1\n\
         [[links]]\nfrom = \"aws:*\"\nto = \"gcp:*\"\nper_gb = \"$1001\"\n",
    ),
    (
        "a link that never counts",
        "[[links]]\nfrom = \"aws:*\"\nto = \"gcp:*\"\nper_gb = \"$0\"\nboth = true\n\
         [[links]]\nfrom = \"gcp:*\"\nto = \"aws:*\"\nper_gb = \"$0.01\"\n",
    ),
    ("storage", "[storage]\nkeep = 7\nfor = \"7 d\"\n"),
    ("table of the wrong type", "spot = true\n"),
];

fn said<T>(result: Result<crate::spec::Parsed<T>, Diagnostics>) -> (SourceFile, Vec<Diagnostic>) {
    match result {
        Ok(parsed) => (parsed.source, parsed.warnings),
        Err(found) => (found.source, found.list),
    }
}

fn report(cases: impl Iterator<Item = (String, (SourceFile, Vec<Diagnostic>))>) -> String {
    let mut report = String::new();
    for (what, (source, list)) in cases {
        assert!(!list.is_empty(), "nothing is said about: {what}");
        let text = diagnostic::text(&source, &list, false);
        report.push_str(&format!("## {what}\n\n{text}"));
    }
    report
}

#[test]
fn mistakes_in_a_stage() {
    insta::assert_snapshot!(report(IN_STAGE.iter().map(|(what, lines)| {
        (
            (*what).to_owned(),
            said(job::parse("job.toml", &format!("{REST}{lines}\n"))),
        )
    })));
}

#[test]
fn mistakes_in_a_job() {
    insta::assert_snapshot!(report(
        WHOLE_JOB
            .iter()
            .map(|(what, text)| ((*what).to_owned(), said(job::parse("job.toml", text))))
    ));
}

#[test]
fn mistakes_in_a_policy() {
    insta::assert_snapshot!(report(IN_POLICY.iter().map(|(what, text)| (
        (*what).to_owned(),
        said(policy::parse("policy.toml", text))
    ))));
}

#[test]
fn all_mistakes_are_said_in_order() {
    let (source, list) = said(job::parse(
        "job.toml",
        "name = 1\n[stages.s]\nnodes = 0\nduration = 5\nreads = [\"x\"]\n",
    ));
    let lines: Vec<usize> = list
        .iter()
        .map(|diagnostic| source.line_column(diagnostic.span.start).0)
        .collect();
    assert_eq!(lines, [1, 3, 4, 5]);
}
