//! A server of HTTP/1.1 on this machine, of one request a connection.

use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is asked.
pub(super) struct Asked {
    pub verb: String,
    pub path: String,
    pub query: BTreeMap<String, String>,
    /// By name in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Option<Value>,
}

/// What is answered.
pub(super) struct Told {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    /// Text is sent as it is.
    pub body: Value,
}

/// A server until it is dropped.
pub(super) struct Server {
    pub address: SocketAddr,
    over: Arc<AtomicBool>,
}

impl Server {
    /// `handle` answers; without an answer, the connection is closed.
    pub(super) fn new(handle: impl Fn(Asked) -> Option<Told> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let (for_thread, handle) = (over.clone(), Arc::new(handle));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if for_thread.load(Ordering::SeqCst) {
                    return;
                }
                let handle = handle.clone();
                // A client that goes away in the middle is none of the server's business.
                std::thread::spawn(move || drop(serve(stream, handle.as_ref())));
            }
        });
        Self { address, over }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // The listener waits for a connection.
        drop(TcpStream::connect(self.address));
    }
}

fn serve(mut stream: TcpStream, handle: &dyn Fn(Asked) -> Option<Told>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ');
    let (verb, target) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            // Whoever began to ask was killed.
            return Ok(());
        }
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers
        .get("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let Ok(url) = reqwest::Url::parse(&format!("http://here{target}")) else {
        return Ok(());
    };
    let asked = Asked {
        verb: verb.to_owned(),
        path: url.path().to_owned(),
        query: url.query_pairs().into_owned().collect(),
        headers,
        body: (!body.is_empty()).then(|| serde_json::from_slice(&body).unwrap_or_default()),
    };
    let Some(told) = handle(asked) else {
        return Ok(());
    };
    let body = match &told.body {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        body => body.to_string(),
    };
    let mut head = format!(
        "HTTP/1.1 {} X\r\nContent-Type: application/json\r\nConnection: close\r\n",
        told.status
    );
    for (name, value) in &told.headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes())
}
