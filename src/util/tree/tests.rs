use super::copying::set_time_of_name;
use super::*;
use crate::util::hash;
use crate::util::interruptible::Bounds;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io::{self, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// More folders in each other than a process may open, and a longer path than one can write.
#[test]
fn a_value_of_many_files_is_synced_in_one_step() {
    let folder = tempfile::tempdir().unwrap();
    let write = |count: usize| {
        for number in 0..count {
            std::fs::write(folder.path().join(format!("{number}")), "x").unwrap();
        }
    };
    write(2);
    assert_eq!(
        sync(folder.path()).unwrap(),
        3,
        "two files and their folder"
    );
    write(2_000);
    assert_eq!(sync(folder.path()).unwrap(), 1);
}

#[test]
fn folders_in_folders_without_an_end_are_measured_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("deep");
    let nest = |times: usize, locked: &str| {
        let script = format!(
            "mkdir deep; cd deep; echo x > f; for i in $(seq {times}); do mkdir d; cd d; echo x > f; done; {locked}"
        );
        let made = std::process::Command::new("/bin/sh")
            .args(["-c", &script])
            .current_dir(folder.path())
            .status();
        assert!(made.unwrap().success());
    };
    nest(1200, "chmod 500 .");
    assert_eq!(size(&deep, &Bounds::default()).unwrap(), 2 * 1201);
    remove(&deep).unwrap();
    assert!(!deep.exists());
    nest(3000, "chmod 000 .");
    let said = size(&deep, &Bounds::default()).unwrap_err().to_string();
    assert!(said.contains("file name too long"), "{said}");
    remove(&deep).unwrap();
    assert!(!deep.exists());
}
use std::os::unix::fs::symlink;

#[test]
fn a_copy_has_the_digest_of_the_original() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("from");
    std::fs::create_dir_all(from.join("a/empty")).unwrap();
    std::fs::write(from.join("a/x"), "x").unwrap();
    std::fs::write(from.join("tool"), "#!").unwrap();
    std::fs::set_permissions(from.join("tool"), Permissions::from_mode(0o700)).unwrap();
    symlink("a/x", from.join("link")).unwrap();
    let measured = measure(&from, Links::Keep).unwrap();
    assert_eq!((measured.bytes, measured.kind), (3, Kind::Directory));
    for (name, sharing) in [("own", Sharing::Own), ("read-only", Sharing::ReadOnly)] {
        let to = folder.path().join(name);
        copy(&from, &to, Links::Keep, sharing).unwrap();
        assert_eq!(measure(&to, Links::Keep).unwrap(), measured, "{name}");
        remove(&to).unwrap();
    }
    assert_ne!(
        measure(&from, Links::Follow).unwrap().digest,
        measured.digest
    );
    std::fs::write(from.join("a/x"), "y").unwrap();
    assert_ne!(measure(&from, Links::Keep).unwrap().digest, measured.digest);
}

#[test]
fn links_out_and_what_is_no_file_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    symlink("../elsewhere", folder.path().join("out")).unwrap();
    let error = measure(folder.path(), Links::Keep).unwrap_err().to_string();
    assert!(
        error.contains("symbolic link to ../elsewhere, outside of the artifact"),
        "{error}"
    );
    std::fs::remove_file(folder.path().join("out")).unwrap();
    symlink(".", folder.path().join("circle")).unwrap();
    assert!(measure(folder.path(), Links::Keep).is_ok());
    make_socket(&folder.path().join("socket"));
    let error = measure(folder.path(), Links::Keep).unwrap_err().to_string();
    assert!(error.contains("a pipe, a socket or a device"), "{error}");
}

#[test]
fn links_that_lead_nowhere_or_in_a_circle_do_not_keep_a_dataset_from_being_used() {
    let folder = tempfile::tempdir().unwrap();
    let (data, outside) = (folder.path().join("data"), folder.path().join("outside"));
    std::fs::create_dir_all(data.join("a/b")).unwrap();
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("f"), "f").unwrap();
    symlink("loop", outside.join("loop")).unwrap();
    symlink(&data, outside.join("back")).unwrap();
    let links = [
        ("self", "."),
        ("a/b/up", "../.."),
        ("a/b/further", "../../.."),
        ("gone", "nothing"),
        ("away", "/nothing/there"),
        ("through", "a/b/none/x"),
        ("one", "two"),
        ("two", "one"),
        (".#lock", "user@host.12:34"),
        ("in", "../outside"),
    ];
    for (name, target) in links {
        symlink(target, data.join(name)).unwrap();
    }
    let measured = measure(&data, Links::Follow).unwrap();
    let to = folder.path().join("to");
    assert_eq!(
        copy_measured(&data, &to, Links::Follow, Sharing::Own, &Bounds::default()).unwrap(),
        measured
    );
    for (name, target) in &links[..9] {
        assert_eq!(
            std::fs::read_link(to.join(name)).unwrap(),
            Path::new(target),
            "{name}"
        );
    }
    assert_eq!(std::fs::read(to.join("in/f")).unwrap(), b"f");
    assert!(to.join("in/loop").is_symlink() && to.join("in/back").is_symlink());
}

#[test]
fn links_out_of_an_output_stand_for_what_they_lead_to() {
    let folder = tempfile::tempdir().unwrap();
    let (output, inputs) = (folder.path().join("output"), folder.path().join("inputs"));
    std::fs::create_dir(&output).unwrap();
    std::fs::create_dir_all(inputs.join("deep")).unwrap();
    std::fs::write(inputs.join("deep/f"), "f").unwrap();
    symlink("f", inputs.join("deep/l")).unwrap();
    symlink(inputs.join("deep"), output.join("all")).unwrap();
    symlink("../inputs/deep/f", output.join("one")).unwrap();
    symlink("one", output.join("inner")).unwrap();
    let to = folder.path().join("to");
    let measured = copy_measured(
        &output,
        &to,
        Links::Resolve,
        Sharing::ReadOnly,
        &Bounds::default(),
    )
    .unwrap();
    assert_eq!(measure(&to, Links::Keep).unwrap(), measured);
    for name in ["all/f", "all/l", "one", "inner"] {
        assert_eq!(std::fs::read(to.join(name)).unwrap(), b"f", "{name}");
    }
    assert!(!to.join("one").is_symlink() && to.join("inner").is_symlink());
    symlink("/nothing/there", output.join("away")).unwrap();
    let error = measure(&output, Links::Resolve).unwrap_err().to_string();
    assert!(
        error.contains("away is a symbolic link to /nothing/there, outside of the artifact"),
        "{error}"
    );
}

#[test]
fn names_that_are_not_utf8_are_names_like_others() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    std::fs::create_dir(&from).unwrap();
    let odd = OsStr::from_bytes(b"caf\xe9");
    std::fs::write(from.join(odd), "x").unwrap();
    symlink(odd, from.join(OsStr::from_bytes(b"\xff"))).unwrap();
    let measured =
        copy_measured(&from, &to, Links::Keep, Sharing::Own, &Bounds::default()).unwrap();
    assert_eq!(measure(&to, Links::Keep).unwrap(), measured);
    let listed = |name: &[u8]| {
        let digest = hash::digest(b"x");
        let entries = [
            (
                name.to_vec(),
                Listed::File {
                    executable: false,
                    digest,
                    bytes: 1,
                },
            ),
            (b"\xff".to_vec(), Listed::Link(odd.into())),
        ];
        let entries =
            entries.map(|(name, listed)| (PathBuf::from(OsStr::from_bytes(&name)), listed));
        measure_listed(&BTreeMap::from(entries)).unwrap()
    };
    assert_eq!(listed(b"caf\xe9"), measured);
    assert_ne!(listed(b"caf\xe8").digest, measured.digest);
    assert_ne!(listed("caf\u{fffd}".as_bytes()).digest, measured.digest);
}

#[test]
fn a_copy_has_the_times_of_the_original() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    std::fs::create_dir_all(from.join("d")).unwrap();
    std::fs::write(from.join("d/f"), "x").unwrap();
    symlink("d/f", from.join("l")).unwrap();
    let set = |name: &str, second: i64| {
        let time = Timespec {
            tv_sec: second,
            tv_nsec: 123_456_789,
        };
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        utimensat(CWD, from.join(name), &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    };
    let names = [("d/f", 1_000), ("d", 2_000), ("l", 3_000), ("", 4_000)];
    names.iter().for_each(|(name, second)| set(name, *second));
    copy(&from, &to, Links::Keep, Sharing::ReadOnly).unwrap();
    let check = || {
        for (name, second) in names {
            let metadata = std::fs::symlink_metadata(to.join(name)).unwrap();
            assert_eq!(
                (metadata.mtime(), metadata.mtime_nsec()),
                (second, 123_456_789),
                "{name}"
            );
        }
    };
    check();
    set_time_of_name(&to.join("d/f"), &std::fs::metadata(&from).unwrap());
    take_times(&from, &to).unwrap();
    check();
}

#[test]
fn holes_stay_holes_and_bounds_hold() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    let mut open = File::create(&from).unwrap();
    open.set_len(64 << 20).unwrap();
    open.seek(io::SeekFrom::Start(40 << 20)).unwrap();
    open.write_all(b"in the middle").unwrap();
    drop(open);
    let measured =
        copy_measured(&from, &to, Links::Keep, Sharing::Own, &Bounds::default()).unwrap();
    assert_eq!(measure(&from, Links::Keep).unwrap(), measured);
    assert_eq!(measure(&to, Links::Keep).unwrap(), measured);
    assert!(std::fs::metadata(&to).unwrap().blocks() * 512 < 4 << 20);
    // What is far too large is not even begun.
    File::create(folder.path().join("huge"))
        .unwrap()
        .set_len(1 << 43)
        .unwrap();
    let error = copy_measured(
        &folder.path().join("huge"),
        &folder.path().join("copy"),
        Links::Keep,
        Sharing::Own,
        &Bounds::default().within(Some(1 << 30)),
    );
    assert_eq!(error.unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    assert!(!folder.path().join("copy").exists());
}

fn make_socket(path: &Path) {
    drop(std::os::unix::net::UnixListener::bind(path).unwrap());
}
