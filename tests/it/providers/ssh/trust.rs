//! Hosts that are not what they should be, or not there.

use super::*;
use crate::execution::apply::place::ended;
use crate::support::sshd::make_key;
use sky::execution::provider::ErrorKind;

const ROWS: [Row; 1] = [("x", &[], &["o"], "echo x > $SKY_OUTPUTS/o")];

/// What an apply says with another inventory, and that nothing came of it.
fn refused(change: impl FnOnce(&Place, String) -> String, words: &[&str]) {
    let place = place(Sshd::shared(), &["ssh:one"], &ROWS);
    let hosts = change(&place, place.text("hosts.toml"));
    std::fs::write(place.path("hosts.toml"), hosts).unwrap();
    let said = ended(&place.apply(&[]), 1);
    for words in words {
        assert!(said.contains(words), "no `{words}` in {said}");
    }
    assert_eq!(left(&place), Vec::<String>::new());
}

/// The inventory's host key in another way.
fn with_trust(hosts: &str, line: &str) -> String {
    let other = |text: &str| {
        if text.starts_with("host_key") {
            line.to_owned()
        } else {
            text.to_owned()
        }
    };
    hosts.lines().map(other).collect::<Vec<_>>().join("\n")
}

#[test]
fn another_host_key_is_refused() {
    let change = |place: &Place, hosts: String| {
        let key = make_key(&place.path("other"));
        with_trust(&hosts, &format!("host_key = \"{key}\""))
    };
    refused(
        change,
        &[
            "host one: its host key is not the one that is known",
            "put its new key in its `host_key`",
        ],
    );
    let change = |place: &Place, hosts: String| {
        let key = make_key(&place.path("other"));
        let line = format!("[127.0.0.1]:{} {key}\n", Sshd::shared().port);
        std::fs::write(place.path("known"), line).unwrap();
        with_trust(&hosts, "known_hosts = \"known\"")
    };
    refused(
        change,
        &[
            "host one: its host key is not the one that is known",
            "/known",
        ],
    );
}

#[test]
fn a_host_that_is_not_known_is_refused() {
    let change = |place: &Place, hosts: String| {
        std::fs::write(place.path("known"), "").unwrap();
        with_trust(&hosts, "known_hosts = \"known\"")
    };
    refused(
        change,
        &["host one: its host key is not known", "ssh-keyscan -p "],
    );
}

#[test]
fn a_file_of_known_hosts_will_do() {
    let place = place(Sshd::shared(), &["ssh:one"], &ROWS);
    let server = Sshd::shared();
    std::fs::write(
        place.path("my known"),
        format!("[127.0.0.1]:{} {}\n", server.port, server.host_key()),
    )
    .unwrap();
    let hosts = with_trust(&place.text("hosts.toml"), "known_hosts = \"my known\"");
    std::fs::write(place.path("hosts.toml"), hosts).unwrap();
    ended(&place.apply(&[]), 0);
}

#[test]
fn a_key_that_is_not_let_in_is_told() {
    let change = |place: &Place, hosts: String| {
        make_key(&place.path("stranger"));
        hosts.replace(
            &Sshd::shared().path("user").display().to_string(),
            "stranger",
        )
    };
    refused(
        change,
        &[
            "host one: it does not let us in: is ",
            "/stranger a key that it lets in",
            "Permission denied",
        ],
    );
}

#[test]
fn without_an_inventory_the_way_out_is_said() {
    let place = place(Sshd::shared(), &["ssh:one"], &ROWS);
    std::fs::rename(place.path("hosts.toml"), place.path("mine.toml")).unwrap();
    let said = ended(&place.apply(&[]), 1);
    assert!(
        said.contains("--hosts FILE") && said.contains("SKY_HOSTS"),
        "{said}"
    );
    assert!(!place.path("sky.state.json").exists());
    ended(&place.apply(&["--hosts", "mine.toml"]), 0);
    ended(
        &place
            .sky(&["destroy", "--auto-approve"])
            .env("SKY_HOSTS", "mine.toml")
            .output()
            .unwrap(),
        0,
    );
    let said = ended(&place.apply(&["--hosts", "no-such.toml"]), 1);
    assert!(
        said.contains("no-such.toml: cannot read it: no such file"),
        "{said}"
    );
}

#[test]
fn a_host_that_does_not_answer_is_named() {
    let place = place(Sshd::shared(), &["ssh:one"], &ROWS);
    // Nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let silent = Sshd::shared().host("silent", &place.path("hosts"), "");
    let silent = silent.replace(
        &format!("port = {}", Sshd::shared().port),
        &format!("port = {port}"),
    );
    std::fs::write(place.path("hosts.toml"), place.text("hosts.toml") + &silent).unwrap();
    runtime().block_on(async {
        let provider = provider(&place);
        let error = provider.list(None).await.unwrap_err();
        assert!(
            error.kind == ErrorKind::Unreachable
                && error.message.contains("host silent: it does not answer"),
            "{error}"
        );
        // A machine that none of the others has might be there.
        let token = sky::execution::provider::Token::new("l", "p", "x", 1);
        assert_eq!(
            provider.get(&token).await.unwrap_err().kind,
            ErrorKind::Unreachable
        );
    });
    std::fs::write(
        place.path("hosts.toml"),
        Sshd::shared().host("one", &place.path("hosts/one"), ""),
    )
    .unwrap();
}
