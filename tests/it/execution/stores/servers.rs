//! Places for states: folders, and buckets of servers on this machine that speak the clouds'
//! protocols.

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Where a state is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    Folder,
    S3,
    Azure,
}

pub(crate) const ALL: [On; 3] = [On::Folder, On::S3, On::Azure];

/// The account and key that Azurite's documentation gives to everybody.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A server that ends when this process does: its standard input is ours.
struct Server {
    port: u16,
    _child: Mutex<Child>,
}

pub(crate) fn home() -> PathBuf {
    match std::env::var_os("SKY_TEST_SERVERS") {
        Some(home) => home.into(),
        None => Path::new(&std::env::var_os("HOME").unwrap_or_default())
            .join(".cache/sky-planner/servers"),
    }
}

fn start(program: &Path, arguments: &[&Path]) -> Server {
    let mut command = Command::new(program);
    command
        .args(arguments)
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
            arguments[0].display()
        )
    });
    // What it prints later must not fill the pipe.
    std::thread::spawn(move || lines.for_each(drop));
    Server {
        port,
        _child: Mutex::new(child),
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/servers")
        .join(name)
}

fn s3() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let server = start(&home().join("venv/bin/python"), &[&script("s3.py")]);
        // A bucket is made by whoever asks.
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let made = block_on(
            client
                .put(format!("http://127.0.0.1:{}/state", server.port))
                .send(),
        )
        .unwrap();
        assert!(made.status().is_success(), "{made:?}");
        server
    })
}

fn azure() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| start(Path::new("node"), &[&script("azure.js"), &home()]))
}

/// Google Cloud Storage, and the folder with the key of its account.
#[cfg(feature = "gcp")]
fn gcs() -> &'static (Server, tempfile::TempDir) {
    static SERVER: OnceLock<(Server, tempfile::TempDir)> = OnceLock::new();
    SERVER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        (
            start(
                &home().join("schemas/bin/python"),
                &[&script("gcs.py"), folder.path()],
            ),
            folder,
        )
    })
}

/// What a command needs to use Google Cloud Storage.
#[cfg(feature = "gcp")]
pub(crate) fn google() -> Vec<(&'static str, String)> {
    let (server, folder) = gcs();
    vec![
        (
            "GOOGLE_SERVICE_ACCOUNT_PATH",
            folder.path().join("key.json").display().to_string(),
        ),
        (
            "GOOGLE_BASE_URL",
            format!("http://127.0.0.1:{}", server.port),
        ),
        ("GOOGLE_ALLOW_HTTP", "true".to_owned()),
    ]
}

/// What is in Google Cloud Storage, and how much went in and out by signed addresses.
#[cfg(feature = "gcp")]
pub(crate) fn google_look() -> serde_json::Value {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://127.0.0.1:{}/test/look", gcs().0.port);
    let text = block_on(async { client.get(url).send().await.unwrap().text().await.unwrap() });
    serde_json::from_str(&text).unwrap()
}

pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

/// What a command needs to use both object stores, as an account of each.
pub(crate) fn environment() -> Vec<(&'static str, String)> {
    let (s3, azure) = (s3().port, azure().port);
    let mut all = vec![
        ("AWS_ENDPOINT_URL_S3", format!("http://127.0.0.1:{s3}")),
        ("AWS_ALLOW_HTTP", "true".to_owned()),
        ("AWS_ACCESS_KEY_ID", "AKIASTAGING".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", AWS_SECRET.to_owned()),
        ("AZURE_STORAGE_USE_EMULATOR", "true".to_owned()),
        (
            "AZURITE_BLOB_STORAGE_URL",
            format!("http://127.0.0.1:{azure}"),
        ),
        ("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT.to_owned()),
        ("AZURE_STORAGE_ACCOUNT_KEY", KEY.to_owned()),
    ];
    all.extend(["NO_PROXY", "no_proxy"].map(|name| (name, "127.0.0.1".to_owned())));
    all
}

/// Credentials that nobody but the stores may ever see.
pub(crate) const AWS_SECRET: &str = "s3cret-acce55-key-0f-staging";
pub(crate) const AZURE_SECRET: &str = KEY;

/// The bucket at an address such as sky writes down, as its owner sees it.
pub(crate) fn bucket(address: &str) -> Arc<dyn ObjectStore> {
    let (scheme, name) = address.split_once("://").unwrap();
    match scheme {
        "s3" => {
            let client = AmazonS3Builder::new()
                .with_bucket_name(name)
                .with_region("us-east-1");
            let client = client
                .with_access_key_id("test")
                .with_secret_access_key("test")
                .with_allow_http(true);
            Arc::new(
                client
                    .with_endpoint(format!("http://127.0.0.1:{}", s3().port))
                    .build()
                    .unwrap(),
            )
        }
        "az" => {
            let client = MicrosoftAzureBuilder::new()
                .with_container_name(name)
                .with_allow_http(true);
            let client = client.with_account(ACCOUNT).with_access_key(KEY);
            Arc::new(
                client
                    .with_endpoint(format!("http://127.0.0.1:{}/{ACCOUNT}", azure().port))
                    .build()
                    .unwrap(),
            )
        }
        _ => panic!("{address}"),
    }
}

/// The names and sizes of all that is in a bucket; none if there is no such bucket.
pub(crate) fn content(address: &str) -> Option<Vec<(String, u64)>> {
    let client = bucket(address);
    block_on(async {
        let top = match client.list_with_delimiter(None).await {
            Err(error) if format!("{error:?}").contains("404") => return None,
            top => top.unwrap(),
        };
        let mut found = Vec::new();
        for folder in top.common_prefixes {
            let listed = client.list_with_delimiter(Some(&folder)).await.unwrap();
            found.extend(
                listed
                    .objects
                    .into_iter()
                    .map(|object| (object.location.to_string(), object.size)),
            );
        }
        found.sort();
        Some(found)
    })
}

/// A place for one state: what to say on the command line, and how to look into it.
pub(crate) struct Spot {
    pub on: On,
    /// `--state` of it, if it is not in the working folder.
    pub url: Option<String>,
    prefix: String,
    /// The port at which the store answers, if that is not its server's own.
    port: Option<u16>,
}

/// A loopback port of its own in front of a server of this machine, whose answers it holds up for
/// so long each.
fn late(server: u16, delay: Duration) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let copy = |mut from: TcpStream, mut to: TcpStream, delay: Duration| {
        let mut piece = vec![0; 64 * 1024];
        while let Ok(size @ 1..) = from.read(&mut piece) {
            std::thread::sleep(delay);
            if to.write_all(&piece[..size]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    };
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else {
                continue;
            };
            let (Ok(from), Ok(to)) = (client.try_clone(), server.try_clone()) else {
                continue;
            };
            std::thread::spawn(move || copy(from, to, Duration::ZERO));
            std::thread::spawn(move || copy(server, client, delay));
        }
    });
    port
}

impl Spot {
    pub(crate) fn new(on: On) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let prefix = format!("jobs/{}", NUMBER.fetch_add(1, Ordering::SeqCst));
        let url = match on {
            On::Folder => None,
            On::S3 => Some(format!("s3://state/{prefix}")),
            On::Azure => Some(format!("az://state/{prefix}")),
        };
        Self {
            on,
            url,
            prefix,
            port: None,
        }
    }

    /// The same, whose store takes so long for every answer; a folder is as fast as it is.
    pub(crate) fn late(on: On, delay: Duration) -> Self {
        let server = match on {
            On::Folder => None,
            On::S3 => Some(s3().port),
            On::Azure => Some(azure().port),
        };
        Self {
            port: server.map(|server| late(server, delay)),
            ..Self::new(on)
        }
    }

    /// Tells a command where the state is.
    pub(crate) fn tell<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        for name in [
            "SKY_STATE_RECIPIENTS",
            "SKY_STATE_IDENTITY",
            "SKY_LOCK_LEASE",
            "SKY_STATE",
            "SKY_DATA_DIR",
        ] {
            command.env_remove(name);
        }
        command
            .env("NO_PROXY", "127.0.0.1")
            .env("no_proxy", "127.0.0.1");
        if let Some(url) = &self.url {
            command.env("SKY_STATE", url);
        }
        match self.on {
            On::Folder => command,
            On::S3 => command
                .env(
                    "AWS_ENDPOINT_URL",
                    format!(
                        "http://127.0.0.1:{}",
                        self.port.unwrap_or_else(|| s3().port)
                    ),
                )
                .env("AWS_ALLOW_HTTP", "true")
                .env("AWS_ACCESS_KEY_ID", "test")
                .env("AWS_SECRET_ACCESS_KEY", "test")
                .env("AWS_REGION", "us-east-1"),
            On::Azure => command
                .env("AZURE_STORAGE_USE_EMULATOR", "true")
                .env(
                    "AZURITE_BLOB_STORAGE_URL",
                    format!(
                        "http://127.0.0.1:{}",
                        self.port.unwrap_or_else(|| azure().port)
                    ),
                )
                .env("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT)
                .env("AZURE_STORAGE_ACCOUNT_KEY", KEY),
        }
    }

    fn client(&self) -> Option<Arc<dyn ObjectStore>> {
        match self.on {
            On::Folder => None,
            On::S3 => {
                let client = AmazonS3Builder::new()
                    .with_bucket_name("state")
                    .with_region("us-east-1");
                let client = client
                    .with_access_key_id("test")
                    .with_secret_access_key("test")
                    .with_allow_http(true);
                Some(Arc::new(
                    client
                        .with_endpoint(format!("http://127.0.0.1:{}", s3().port))
                        .build()
                        .unwrap(),
                ))
            }
            On::Azure => {
                let client = MicrosoftAzureBuilder::new()
                    .with_container_name("state")
                    .with_allow_http(true);
                let client = client.with_account(ACCOUNT).with_access_key(KEY);
                let endpoint = format!("http://127.0.0.1:{}/{ACCOUNT}", azure().port);
                Some(Arc::new(client.with_endpoint(endpoint).build().unwrap()))
            }
        }
    }

    /// All bytes of the state that are stored: of the objects, or of the files of a folder `.sky`
    /// below `folder`. By their names below the prefix.
    pub(crate) fn stored(&self, folder: &Path) -> Vec<(String, Vec<u8>)> {
        let Some(client) = self.client() else {
            let names = [
                "sky.state.json",
                "sky.state.json.backup",
                ".sky/journal",
                ".sky/lock",
            ];
            let read = |name: &str| Some((name.to_owned(), std::fs::read(folder.join(name)).ok()?));
            return names.into_iter().filter_map(read).collect();
        };
        block_on(async {
            let mut stored = Vec::new();
            for below in [self.prefix.clone(), format!("{}/journal", self.prefix)] {
                let listed = client
                    .list_with_delimiter(Some(&ObjectPath::from(below)))
                    .await
                    .unwrap();
                for object in listed.objects {
                    let name = object
                        .location
                        .as_ref()
                        .strip_prefix(&self.prefix)
                        .unwrap()
                        .to_owned();
                    let bytes = client
                        .get(&object.location)
                        .await
                        .unwrap()
                        .bytes()
                        .await
                        .unwrap();
                    stored.push((name, bytes.to_vec()));
                }
            }
            stored
        })
    }
}
