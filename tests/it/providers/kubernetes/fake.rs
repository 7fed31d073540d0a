//! A cluster of `tests/servers/cluster.py`: an API server whose pods are processes of this machine.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

/// It ends when this process does: its standard input is ours.
struct Server {
    port: u16,
    folder: PathBuf,
    _child: Mutex<Child>,
}

/// A namespace of it.
pub(crate) struct Namespace {
    pub name: String,
}

/// Where the client for Python is, by whose models bodies are checked.
pub(crate) fn python() -> PathBuf {
    let home = match std::env::var_os("SKY_TEST_SERVERS") {
        Some(home) => home.into(),
        None => Path::new(&std::env::var_os("HOME").unwrap_or_default())
            .join(".cache/sky-planner/servers"),
    };
    home.join("kubernetes/bin/python")
}

pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/servers")
        .join(name)
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap().keep();
        let mut command = Command::new(python());
        command
            .arg("-B")
            .arg(script("cluster.py"))
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!(
                "{}: {error}: `make setup` installs what tests talk to",
                python().display()
            )
        });
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let port = lines.find_map(|line| {
            line.strip_prefix("port ")
                .and_then(|port| port.trim().parse().ok())
        });
        let port = port
            .expect("tests/servers/cluster.py did not start: `make setup` installs what it needs");
        Server {
            port,
            folder,
            _child: Mutex::new(child),
        }
    })
}

impl Namespace {
    /// A new one, empty.
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let namespace = Self {
            name: format!("n{}", COUNT.fetch_add(1, Ordering::SeqCst)),
        };
        namespace.ask(Some(&json!({})));
        namespace
    }

    /// What it is like from now on; `tests/servers/cluster.py` has the settings.
    pub(crate) fn set(&self, settings: Value) {
        self.ask(Some(&json!({ "settings": settings })));
    }

    /// Something happens to the pod of a token.
    pub(crate) fn harm(&self, what: &str, token: &str) {
        self.ask(Some(&json!({ "do": what, "token": token })));
    }

    /// What is there, what was asked, and what was wrong with it.
    pub(crate) fn look(&self) -> Value {
        self.ask(None)
    }

    /// The names of Jobs and pods that are there.
    pub(crate) fn names(&self) -> Vec<String> {
        let look = self.look();
        let both = [&look["jobs"], &look["pods"]].map(|all| all.as_array().unwrap().clone());
        both.into_iter()
            .flatten()
            .map(|one| one["metadata"]["name"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Nothing that was asked is against the API, and something was asked.
    pub(crate) fn check(&self) {
        let look = self.look();
        assert_eq!(look["wrong"], json!([]), "{look:#}");
        assert!(!look["asked"].as_array().unwrap().is_empty());
    }

    /// Where the disks of its pods are.
    pub(crate) fn folder(&self) -> PathBuf {
        server().folder.join(&self.name)
    }

    /// Writes a kubeconfig for it into a folder, with one user, and says where.
    pub(crate) fn kubeconfig(&self, folder: &Path, user: &str) -> PathBuf {
        let path = folder.join(format!("kubeconfig-{user}"));
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: lab\nclusters:\n- name: lab\n  cluster:\n    server: http://127.0.0.1:{}\n\
             users:\n- name: me\n  user:\n    token: {user}\ncontexts:\n- name: lab\n  context:\n    cluster: lab\n    user: me\n    \
             namespace: {}\n",
            server().port,
            self.name
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    /// An entry of an inventory for its pods.
    pub(crate) fn entry(&self, name: &str, folder: &Path, more: &str) -> String {
        let kubeconfig = self.kubeconfig(folder, "admin");
        let image = if more.contains("image =") {
            ""
        } else {
            "image = \"debian:12\"\n"
        };
        format!(
            "[kubernetes.{name}]\nkubeconfig = \"{}\"\n{image}{more}\n",
            kubeconfig.display()
        )
    }

    fn ask(&self, body: Option<&Value>) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", server().port)).unwrap();
        let method = if body.is_some() { "POST" } else { "GET" };
        let text = body.map(Value::to_string).unwrap_or_default();
        write!(
            stream,
            "{method} /test/{} HTTP/1.1\r\nContent-Length: {}\r\n\r\n{text}",
            self.name,
            text.len()
        )
        .unwrap();
        let mut reader = BufReader::new(stream);
        let mut size = 0;
        loop {
            let mut line = String::new();
            assert!(
                reader.read_line(&mut line).unwrap() > 0,
                "the cluster gave no answer to {text}"
            );
            match line.trim().split_once(": ") {
                Some(("Content-Length", length)) => size = length.parse().unwrap(),
                _ if line.trim().is_empty() => break,
                _ => {}
            }
        }
        let mut answer = vec![0; size];
        reader.read_exact(&mut answer).unwrap();
        serde_json::from_slice(&answer).unwrap()
    }
}
