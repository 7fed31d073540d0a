//! An HTTP server on this machine that answers as it is told, troubles included.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What was asked.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// With its query.
    pub path: String,
    /// By names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
    /// How often this path was asked before.
    pub before: usize,
}

/// What is answered. Every answer is of 23 November 2026.
pub(super) struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// The connection ends after so many bytes of the body.
    cut: Option<usize>,
    /// Nothing is answered for so long.
    wait: Duration,
    /// What is said to be the length where only that is asked.
    size: Option<usize>,
    /// The body is sent again and again, for as long as anybody listens.
    endless: bool,
}

impl Answer {
    pub(super) fn ok(body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![(
            "Date".to_owned(),
            "Mon, 23 Nov 2026 02:00:00 GMT".to_owned(),
        )];
        Self {
            status: 200,
            headers,
            body: body.into(),
            cut: None,
            wait: Duration::ZERO,
            size: None,
            endless: false,
        }
    }

    pub(super) fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::ok("")
        }
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn cut(self, after: usize) -> Self {
        Self {
            cut: Some(after),
            ..self
        }
    }

    /// Says that it is so long, where only that is asked.
    pub(super) fn sized(self, size: usize) -> Self {
        Self {
            size: Some(size),
            ..self
        }
    }

    /// A body that goes on for ever after its first bytes, of which the length is not said.
    pub(super) fn endless(self) -> Self {
        Self {
            endless: true,
            ..self
        }
    }

    pub(super) fn late(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// The part of the body that is asked for, if it is still the same.
    pub(super) fn ranged(mut self, request: &Request, tag: &str) -> Self {
        let start = request.headers.get("range").and_then(|range| {
            range
                .strip_prefix("bytes=")?
                .strip_suffix('-')?
                .parse::<usize>()
                .ok()
        });
        let same = request
            .headers
            .get("if-range")
            .is_none_or(|asked| asked == tag);
        self = self.with("ETag", tag);
        match start.filter(|start| same && *start < self.body.len()) {
            Some(start) => {
                let total = self.body.len();
                let range = format!("bytes {start}-{}/{total}", total - 1);
                let body = self.body.split_off(start);
                Self {
                    status: 206,
                    body,
                    ..self.with("Content-Range", &range)
                }
            }
            None => self,
        }
    }
}

type Handler = Box<dyn Fn(&Request) -> Answer + Send + Sync>;

struct Shared {
    handler: Handler,
    asked: Mutex<Vec<Request>>,
    done: AtomicBool,
}

pub(super) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    pub(super) fn new(handler: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            asked: Mutex::default(),
            done: AtomicBool::new(false),
        });
        let for_thread = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if for_thread.done.load(Ordering::SeqCst) {
                    return;
                }
                let shared = for_thread.clone();
                // A client that goes away in the middle is none of the server's business.
                std::thread::spawn(move || drop(serve(stream, &shared)));
            }
        });
        Self { address, shared }
    }

    pub(super) fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn host(&self) -> String {
        self.address.to_string()
    }

    /// What was asked since the last time.
    pub(super) fn asked(&self) -> Vec<Request> {
        std::mem::take(&mut self.shared.asked.lock().unwrap())
    }

    /// The paths of [`Server::asked`], sorted, without the names of the API's fields.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut paths: Vec<String> = self
            .asked()
            .into_iter()
            .map(|request| request.path)
            .collect();
        paths.sort();
        paths
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.done.store(true, Ordering::SeqCst);
        // The listener waits for a connection.
        drop(TcpStream::connect(self.address));
    }
}

fn serve(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let head_only = line.starts_with("HEAD ");
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
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
    let body = String::from_utf8_lossy(&body).into_owned();
    let request = {
        let mut asked = shared.asked.lock().unwrap();
        let before = asked.iter().filter(|other| other.path == path).count();
        let request = Request {
            path,
            headers,
            body,
            before,
        };
        // Whether a body is there is no request of it.
        if !head_only {
            asked.push(request.clone());
        }
        request
    };
    let answer = (shared.handler)(&request);
    std::thread::sleep(answer.wait);
    let length = if head_only {
        answer.size.unwrap_or(answer.body.len())
    } else {
        answer.body.len()
    };
    let said_length = if answer.endless {
        String::new()
    } else {
        format!("Content-Length: {length}\r\n")
    };
    let mut head = format!(
        "HTTP/1.1 {} .\r\nConnection: close\r\n{said_length}",
        answer.status
    );
    answer
        .headers
        .iter()
        .for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    if head_only {
        return stream.shutdown(std::net::Shutdown::Write);
    }
    if answer.endless {
        loop {
            stream.write_all(&answer.body)?;
        }
    }
    let end = answer
        .cut
        .unwrap_or(answer.body.len())
        .min(answer.body.len());
    stream.write_all(&answer.body[..end])?;
    stream.flush()?;
    stream.shutdown(std::net::Shutdown::Write)
}
