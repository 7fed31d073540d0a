//! A real OpenSSH server on this machine, with keys of its own, for as long as a test lasts.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A server that ends when it is dropped, or with this process, whichever way that ends.
pub(crate) struct Sshd {
    folder: tempfile::TempDir,
    pub port: u16,
    /// More of its configuration.
    more: &'static str,
    /// The variable of that name, or nothing.
    path: String,
    /// A shell that waits for its input to end, and takes the server with it.
    keeper: Option<Child>,
}

/// Where Debian has it; it wants to be run by its full name.
pub(crate) fn program() -> PathBuf {
    let found = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/sbin/sshd"]
        .into_iter()
        .map(PathBuf::from);
    let found = found.into_iter().find(|path| path.exists());
    found.expect("no sshd on this machine: `make setup` installs openssh-server")
}

/// Makes a pair of keys; the public one.
pub(crate) fn make_key(path: &Path) -> String {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
        .arg(path)
        .status();
    assert!(
        made.expect("no ssh-keygen: `make setup` installs openssh-client")
            .success()
    );
    std::fs::read_to_string(path.with_extension("pub"))
        .unwrap()
        .trim()
        .to_owned()
}

impl Sshd {
    pub(crate) fn start() -> Self {
        Self::start_with(|_| String::new())
    }

    /// Those who log in find their programs where `path` says, which gets the server's folder.
    pub(crate) fn start_with(path: impl FnOnce(&Path) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = path(folder.path());
        let path = if path.is_empty() {
            path
        } else {
            format!(" PATH={path}")
        };
        let mut server = Self {
            folder,
            port: 0,
            more: "",
            path,
            keeper: None,
        };
        make_key(&server.path("host"));
        let user = make_key(&server.path("user"));
        std::fs::write(server.path("authorized"), user).unwrap();
        server.begin();
        server
    }

    /// In a folder below that one, with the host key and the user's key of somebody else's making.
    #[cfg(any(feature = "azure", feature = "gcp"))]
    pub(crate) fn with_keys(below: &Path, host: &str, host_public: &str, authorized: &str) -> Self {
        use std::os::unix::fs::PermissionsExt;
        // Where people arrive is their home folder, as on a machine of its own.
        let more = "ForceCommand cd && exec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"\n";
        let mut server = Self {
            folder: tempfile::tempdir_in(below).unwrap(),
            port: 0,
            more,
            path: String::new(),
            keeper: None,
        };
        std::fs::write(server.path("host"), host).unwrap();
        std::fs::set_permissions(server.path("host"), std::fs::Permissions::from_mode(0o600))
            .unwrap();
        std::fs::write(server.path("host.pub"), host_public).unwrap();
        std::fs::write(server.path("authorized"), authorized).unwrap();
        server.begin();
        server
    }

    /// One for all tests of this process that do nothing to it.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Sshd> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The public key by which it is known.
    pub(crate) fn host_key(&self) -> String {
        std::fs::read_to_string(self.path("host.pub"))
            .unwrap()
            .trim()
            .to_owned()
    }

    /// Begins to serve: on the port that it had, if any.
    pub(crate) fn begin(&mut self) {
        for _ in 0..20 {
            let free = || {
                TcpListener::bind("127.0.0.1:0")
                    .unwrap()
                    .local_addr()
                    .unwrap()
                    .port()
            };
            let port = if self.port == 0 { free() } else { self.port };
            if self.serve(port) {
                self.port = port;
                return;
            }
        }
        panic!(
            "sshd does not serve: {}",
            std::fs::read_to_string(self.path("log")).unwrap_or_default()
        );
    }

    fn serve(&mut self, port: u16) -> bool {
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {host}\nAuthorizedKeysFile {authorized}\nPidFile none\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             PermitRootLogin prohibit-password\nPrintMotd no\nMaxStartups 1000\nLogLevel INFO\n\
             KexAlgorithms curve25519-sha256\nSetEnv HOME={home}{path}\n{more}",
            // What people have their shells do on every log-in is not a part of a test.
            home = self.folder.path().display(),
            more = self.more,
            path = self.path,
            host = self.path("host").display(),
            authorized = self.path("authorized").display(),
        );
        std::fs::write(self.path("config"), config).unwrap();
        if is_root() {
            // Debian's has it made by whoever starts the service.
            let _ = std::fs::create_dir_all("/run/sshd");
        }
        let log = std::fs::File::create(self.path("log")).unwrap();
        let script = "\"$@\" < /dev/null & server=$!; read _; kill \"$server\" $(cat /proc/$server/task/*/children); wait";
        let mut keeper = Command::new("/bin/sh")
            .args(["-c", script, "keeper"])
            .arg(program())
            .args(["-D", "-e", "-f"])
            .arg(self.path("config"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let begun = Instant::now();
        let serves = loop {
            let log = std::fs::read_to_string(self.path("log")).unwrap_or_default();
            if log.contains("Server listening") && greets(port) {
                break true;
            }
            if log.contains("in use") || begun.elapsed() > Duration::from_secs(20) {
                break false;
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        if serves {
            self.keeper = Some(keeper);
        } else {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
        serves
    }

    /// Ends it, with all of its connections.
    pub(crate) fn end(&mut self) {
        self.drop_connections();
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
    }

    /// The processes that serve a connection each.
    fn connections(&self) -> Vec<i32> {
        let children = |pid: i32| -> Vec<i32> {
            let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
                .unwrap_or_default();
            text.split_ascii_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect()
        };
        let Some(keeper) = &self.keeper else {
            return Vec::new();
        };
        let servers = children(i32::try_from(keeper.id()).unwrap());
        servers
            .into_iter()
            .flat_map(children)
            .flat_map(|pid| [children(pid), vec![pid]].concat())
            .collect()
    }

    /// Ends all connections, as a network does that is gone: nobody says good-bye.
    pub(crate) fn drop_connections(&self) -> usize {
        let connections = self.connections();
        for pid in &connections {
            let _ = Command::new("kill")
                .args(["-s", "KILL", &pid.to_string()])
                .stderr(Stdio::null())
                .status();
        }
        connections.len()
    }

    /// A host of this server in an inventory, with all that is said of it in `more`.
    pub(crate) fn host(&self, name: &str, root: &Path, more: &str) -> String {
        format!(
            "[hosts.{name}]\naddress = \"127.0.0.1\"\nport = {}\nidentity = \"{}\"\nhost_key = \"{}\"\nroot = \"{}\"\n{more}\n",
            self.port,
            self.path("user").display(),
            self.host_key(),
            root.display()
        )
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.end();
    }
}

fn greets(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return false;
    };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    let mut greeting = [0; 4];
    stream.read_exact(&mut greeting).is_ok() && &greeting == b"SSH-"
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.starts_with("Uid:\t0\t"))
}
