//! Files that come from a URL, also from servers that do not end.

use super::*;

/// Serves the files of a folder to so many requests, over HTTP on this machine.
fn serve(folder: &Path, requests: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let folder = folder.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(requests) {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut piece = [0; 1024];
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                let count = stream.read(&mut piece).unwrap();
                request.extend_from_slice(&piece[..count]);
            }
            let request = String::from_utf8(request).unwrap();
            let name = request
                .split_whitespace()
                .nth(1)
                .unwrap()
                .trim_start_matches('/')
                .to_owned();
            let (status, body) = match std::fs::read(folder.join(name)) {
                Ok(body) => ("200 OK", body),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&body).unwrap();
        }
    });
    format!("http://{address}")
}

#[test]
fn a_file_may_come_from_a_url() {
    let sandbox = sandbox();
    let server = serve(&sandbox.path("."), 3);
    let url = format!("{server}/acme.toml");
    let words = [
        "catalog",
        "register",
        &url,
        "--catalog",
        "catalog",
        "--key",
        "minisign.pub",
        "--as-of",
        DAY,
    ];
    assert!(sandbox.stdout(&words, 0).contains("acme"));
    let lost = format!("{server}/lost.toml");
    let words = [
        "catalog",
        "register",
        &lost,
        "--catalog",
        "catalog",
        "--key",
        "minisign.pub",
        "--as-of",
        DAY,
    ];
    refused(&sandbox, &words, " answers 404 Not Found");
    let gone = "http://127.0.0.1:9/acme.toml";
    let words = [
        "catalog",
        "register",
        gone,
        "--catalog",
        "catalog",
        "--key",
        "minisign.pub",
        "--as-of",
        DAY,
    ];
    refused(&sandbox, &words, "cannot connect to 127.0.0.1:9");
    let file = format!("file://{}", sandbox.path("acme.toml").display());
    let words = [
        "catalog",
        "register",
        &file,
        "--catalog",
        "catalog",
        "--as-of",
        DAY,
    ];
    assert!(sandbox.stdout(&words, 0).contains("registered again"));
}

#[test]
fn a_file_that_never_ends_is_not_registered() {
    let sandbox = sandbox();
    let pipe = sandbox.path("pipe.toml");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    for file in ["pipe.toml", "/dev/zero", "/dev/stdin"] {
        let args = [
            "catalog",
            "register",
            file,
            "--catalog",
            "catalog",
            "--allow-unsigned",
            "--as-of",
            DAY,
        ];
        let output = sandbox.run(&args);
        assert_eq!(output.status.code(), Some(1), "{file}");
    }
    let args = [
        "catalog",
        "register",
        "pipe.toml",
        "--catalog",
        "catalog",
        "--allow-unsigned",
    ];
    refused(&sandbox, &args, "it is a pipe, a socket or a device");
    // The signature and the keys are files, too.
    refused(
        &sandbox,
        &register(&["--key", "minisign.pub", "--signature", "/dev/zero"]),
        "a pipe, a socket or a device",
    );
    refused(
        &sandbox,
        &register(&["--key", "/dev/zero"]),
        "what is given is not a key, and no file with one",
    );
}

/// A server that answers every request with these bytes again and again, for as long as anybody
/// listens.
fn serve_for_ever(head: &'static [u8], body: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let body = body.clone();
            std::thread::spawn(move || {
                let _ = stream.read(&mut [0; 4096]);
                let mut sent = stream.write_all(head);
                while sent.is_ok() {
                    sent = stream.write_all(&body);
                }
            });
        }
    });
    format!("http://{address}")
}

/// A file of a cloud, its signature: neither a body without an end nor a gzip without one fills the
/// memory.
#[test]
fn a_body_without_an_end_is_not_registered() {
    let sandbox = sandbox();
    let before = everything(&sandbox);
    // A gzip of stored blocks, none of which is the last.
    let mut block = vec![0, 0xff, 0xff, 0, 0];
    block.extend(vec![b'#'; 0xffff]);
    let servers = [
        serve_for_ever(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
            vec![b'#'; 1 << 16],
        ),
        serve_for_ever(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Encoding: gzip\r\n\r\n\
              \x1f\x8b\x08\0\0\0\0\0\0\xff",
            block,
        ),
    ];
    for server in servers {
        let url = format!("{server}/acme.toml");
        for args in [
            vec![
                "catalog",
                "register",
                &url,
                "--catalog",
                "catalog",
                "--allow-unsigned",
                "--as-of",
                DAY,
            ],
            register(&["--key", "minisign.pub", "--signature", &url]),
        ] {
            let begun = std::time::Instant::now();
            let ended = crate::cli::hostile::within_limits(sandbox.sky(&args));
            assert_eq!(ended.faults(), Vec::<String>::new(), "{args:?}");
            assert!(
                ended.said.contains("answers more than 64 MiB"),
                "{args:?}: {}",
                ended.said
            );
            assert!(
                begun.elapsed() < std::time::Duration::from_secs(60),
                "{args:?}"
            );
        }
    }
    assert_eq!(everything(&sandbox), before);
}
