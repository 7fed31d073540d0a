//! `sky catalog import` as a process: what it needs, where it writes, how it ends.

use std::path::Path;
use std::process::{Command, Output};

const LIST: &str = "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Price,SpotPrice,Region
m5.large,,,2.0,8.0,,0.107,,eu-west-1
m5.2xlarge,,,8.0,32.0,,0.428,,eu-west-1
";

fn sky(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sky"));
    command.args(args).current_dir(folder).env_remove("SKY_CATALOG").output().unwrap()
}

#[test]
fn a_list_alone_can_be_planned_on() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(at("lists-2025-02-01/aws")).unwrap();
    std::fs::write(at("lists-2025-02-01/aws/vms.csv"), LIST).unwrap();
    let done = sky(folder.path(), &["catalog", "import", "skypilot", "lists-2025-02-01"]);
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(said.contains("dated 2025-02-01, the day in the name `lists-2025-02-01`"), "{said}");
    assert!(said.contains("of the shipped catalog"), "{said}");
    assert!(at("catalog/catalog.toml").is_file());
    let job = "name = \"j\"\n[datasets.d]\nat = \"gcp:europe-west1\"\nsize = \"1 GB\"\n\
               [stages.s]\nreads = [\"d\"]\nneeds = { cpus = 8 }\nduration = \"1 h\"\n";
    std::fs::write(at("job.toml"), job).unwrap();
    let plan = sky(folder.path(), &["plan", "job.toml", "--catalog", "catalog"]);
    let said = String::from_utf8(plan.stdout).unwrap();
    assert!(plan.status.success() && said.contains("m5.2xlarge"), "{said}{}", String::from_utf8_lossy(&plan.stderr));
    let again = sky(folder.path(), &["catalog", "import", "skypilot", "lists-2025-02-01", "--json"]);
    let said = String::from_utf8(again.stdout).unwrap();
    assert!(said.contains("\"changed\": []") || said.contains("\"changed\":[]"), "{said}");
}

#[test]
fn what_cannot_be_read_is_exit_code_1() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("empty/aws")).unwrap();
    std::fs::write(folder.path().join("empty/aws/vms.csv"), "").unwrap();
    for (path, message) in [("nowhere", "there is no such file or folder"), ("empty", "the file is empty")] {
        let failed = sky(folder.path(), &["catalog", "import", "skypilot", path]);
        let said = String::from_utf8(failed.stderr).unwrap();
        assert_eq!(failed.status.code(), Some(1), "{said}");
        assert!(said.contains(message), "{said}");
        assert!(failed.stdout.is_empty() && !folder.path().join("catalog").exists());
    }
}
