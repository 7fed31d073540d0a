//! Amazon EC2 on this machine: `tests/servers/ec2.py`, and accounts at it.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

/// What nobody but AWS may ever see.
pub(crate) const SECRET: &str = "s3cret-acce55-key-0f-the-test";
/// What the account lets in.
pub(crate) const FROM: &str = "203.0.113.7";

/// A server that ends when this process does: its standard input is ours.
struct Server {
    port: u16,
    folder: PathBuf,
    _child: Mutex<Child>,
}

/// One of a few: moto does one thing at a time.
fn server(number: u64) -> &'static Server {
    static SERVERS: [OnceLock<Server>; 3] = [const { OnceLock::new() }; 3];
    SERVERS[usize::try_from(number).unwrap() % SERVERS.len()].get_or_init(|| {
        let home = match std::env::var_os("SKY_TEST_SERVERS") {
            Some(home) => PathBuf::from(home),
            None => Path::new(&std::env::var_os("HOME").unwrap_or_default())
                .join(".cache/sky-planner/servers"),
        };
        // The server removes it.
        let folder = tempfile::tempdir().unwrap().keep();
        let program = home.join("venv/bin/python");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/ec2.py");
        let mut command = Command::new(&program);
        command
            .arg(&script)
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!(
                "{}: {error}: `make setup` installs what tests talk to",
                program.display()
            )
        });
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let port = lines.find_map(|line| {
            line.strip_prefix("port ")
                .and_then(|port| port.trim().parse().ok())
        });
        let port = port.unwrap_or_else(|| {
            panic!(
                "{} did not start: `make setup` installs it",
                script.display()
            )
        });
        if program.exists() && Path::new("/run").exists() {
            // Debian's sshd has it made by whoever starts the service.
            let _ = std::fs::create_dir_all("/run/sshd");
        }
        Server {
            port,
            folder,
            _child: Mutex::new(child),
        }
    })
}

/// An account at AWS, with all that it has in a folder of ours.
pub(crate) struct Account {
    number: String,
    server: &'static Server,
    folder: PathBuf,
}

impl Account {
    /// One that is new, in `folder/aws`.
    pub(crate) fn new(folder: &Path) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let server = server(number);
        let number = format!("{number:012}");
        let folder = folder.canonicalize().unwrap().join("aws");
        std::fs::create_dir_all(folder.join("machines")).unwrap();
        std::os::unix::fs::symlink(&folder, server.folder.join(&number)).unwrap();
        let account = Self {
            number,
            server,
            folder,
        };
        // An instance's address leads to the sshd that it booted.
        let config = format!(
            "Host 54.*\n  ProxyCommand {} -i -f \"{}/machines/%h/config\"\n",
            crate::support::sshd::program().display(),
            account.folder.display()
        );
        std::fs::write(account.path("ssh_config"), config).unwrap();
        account
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What makes a command use the account.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let nowhere = self.path("nowhere").display().to_string();
        vec![
            (
                "AWS_ENDPOINT_URL",
                format!("http://127.0.0.1:{}", self.server.port),
            ),
            ("AWS_ACCESS_KEY_ID", format!("AKIA{}", self.number)),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("AWS_CONFIG_FILE", nowhere.clone()),
            ("AWS_SHARED_CREDENTIALS_FILE", nowhere),
            ("SKY_AWS_REGIONS", "us-east-1,us-west-2".to_owned()),
            (
                "SKY_SSH_CONFIG",
                self.path("ssh_config").display().to_string(),
            ),
            ("SKY_SSH_USER", user()),
            ("SKY_SSH_FROM", FROM.to_owned()),
            ("NO_PROXY", "127.0.0.1".to_owned()),
            ("no_proxy", "127.0.0.1".to_owned()),
        ]
    }

    /// What goes wrong from now on.
    pub(crate) fn faults(&self, faults: &Value) {
        std::fs::write(self.path("faults"), faults.to_string()).unwrap();
    }

    /// The disks of the instances that are there.
    pub(crate) fn machines(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.path("machines")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// The requests of a kind so far.
    pub(crate) fn requests(&self, action: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("requests")).unwrap_or_default();
        let requests = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        requests
            .filter(|request| request["Action"] == action)
            .collect()
    }

    /// Calls AWS as somebody else with the account's credentials would; the answer.
    pub(crate) fn call(&self, region: &str, form: &[(&str, &str)]) -> String {
        let form: Vec<String> = form
            .iter()
            .map(|(name, value)| format!("{name}={}", escaped(value)))
            .collect();
        let body = format!("Version=2016-11-15&{}", form.join("&"));
        let scope = format!("AKIA{}/20261101/{region}/ec2/aws4_request", self.number);
        let head = format!(
            "POST / HTTP/1.0\r\nHost: ec2.{region}.amazonaws.com\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.http(&(head + &body))
    }

    fn http(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.server.port)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Takes the instance of a stage away; whether it was there.
    pub(crate) fn preempt(&self, stage: &str) -> bool {
        self.http(&format!(
            "GET /preempt/{}/{stage} HTTP/1.0\r\n\r\n",
            self.number
        ))
        .contains(" 200 ")
    }

    /// Lets the instance of a stage know that it is taken away in so many seconds; whether it was
    /// there.
    pub(crate) fn announce(&self, stage: &str, seconds: u32) -> bool {
        self.http(&format!(
            "GET /notice/{}/{stage}/{seconds} HTTP/1.0\r\n\r\n",
            self.number
        ))
        .contains(" 200 ")
    }

    /// Names of security groups of ours in a region.
    pub(crate) fn groups(&self, region: &str) -> Vec<String> {
        let said = self.call(region, &[("Action", "DescribeSecurityGroups")]);
        let names = said
            .split("<groupName>")
            .skip(1)
            .filter_map(|rest| rest.split('<').next());
        names
            .filter(|name| name.starts_with("sky-"))
            .map(str::to_owned)
            .collect()
    }
}

fn escaped(value: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let escape = |byte: u8| {
        if plain(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    value.bytes().map(escape).collect()
}

/// Who runs the tests: instances have no other user.
fn user() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
