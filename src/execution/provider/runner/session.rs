//! One connection to a machine, with the agent at its other end.

use super::super::{ErrorKind, ProviderError};
use super::agent::Agent;
use super::known_host_file::KnownHostFile;
use super::request_format::{self, Line};
use super::shell_access::{RunningShell, ShellAccess, ShellStreams};
use crate::model::hosts::SshTarget;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;

/// What the agent says first, whatever the machine's own greeting says before.
const GREETING: &str = "sky-agent 1";
/// The most of such a greeting.
const PREAMBLE: usize = 64 * 1024;
/// How long a connection, a log-in and the agent's first word may take.
const BEGIN: Duration = Duration::from_secs(45);
/// How long a machine may say nothing in the middle of a request.
const SILENCE: Duration = Duration::from_secs(120);
/// How much of what is said besides answers is kept.
const KEPT: usize = 4096;

/// A part of an answer, for whoever takes it in while it comes.
#[derive(Debug)]
pub(super) enum Part {
    Text(String),
    Bytes(Vec<u8>),
}

/// What is sent and received besides the request itself.
#[derive(Default)]
pub(super) struct Streams {
    /// Content that follows the request. An error in it breaks the connection off.
    pub content: Option<mpsc::Receiver<io::Result<Vec<u8>>>>,
    /// Gets the answer, in place of the caller.
    pub into: Option<mpsc::Sender<Part>>,
}

/// An answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub lines: Vec<String>,
    pub content: Vec<u8>,
}

/// What became of a request that was carried out.
pub(super) enum Exchanged {
    Answered(Answer),
    /// The agent said that it failed.
    Failed(ProviderError),
}

/// An error of a host, with its name.
pub(super) fn of_host(host: &str, error: &ProviderError) -> ProviderError {
    ProviderError::new(error.kind, format!("host {host}: {}", error.message))
}

pub(super) struct Session {
    program: Box<dyn RunningShell>,
    input: Box<dyn AsyncWrite + Send + Unpin>,
    output: BufReader<Box<dyn AsyncRead + Send + Unpin>>,
    said: Arc<Mutex<Vec<u8>>>,
}

impl Session {
    /// Connects, by `access` if there is one, and sends the agent.
    pub(super) async fn open(
        reach: &SshTarget,
        access: Option<&dyn ShellAccess>,
        agent: &Agent,
    ) -> Result<Self, ProviderError> {
        // Fixed but for a number, and in such words that every shell understands it.
        let agent_size = agent.text.len();
        let program = format!(
            "exec /bin/sh -c 'eval \"$(dd bs={agent_size} count=1 iflag=fullblock 2>/dev/null)\"'"
        );
        let (pipe, key_file) = match access {
            Some(access) => (access.run(&program).await?, None),
            None => by_ssh(reach, &program)?,
        };
        let said_bytes = Arc::default();
        tokio::spawn(listen_to_errors(pipe.errors, Arc::clone(&said_bytes)));
        let mut session = Self {
            program: pipe.program,
            input: pipe.input,
            output: BufReader::new(pipe.output),
            said: said_bytes,
        };
        let greeted = tokio::time::timeout(BEGIN, session.greet(agent.text))
            .await
            .unwrap_or_else(|_| {
                Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("no answer within {} s", BEGIN.as_secs()),
                ))
            });
        // `ssh` has read the host's key by now.
        drop(key_file);
        if let Err(error) = greeted {
            let (code, end) = session.program.end().await;
            let all_words = session.words() + &end;
            let error_words = if all_words.trim().is_empty() {
                error.to_string()
            } else {
                all_words
            };
            return Err(access.map_or_else(
                || reach.refusal(&error_words, code),
                |access| access.refusal(&error_words, code),
            ));
        }
        let root_arguments: Vec<&str> = std::iter::once(&reach.root)
            .chain(&agent.settings)
            .map(String::as_str)
            .collect();
        match session
            .exchange("root", &root_arguments, Streams::default())
            .await
        {
            Ok(Exchanged::Answered(_)) => Ok(session),
            Ok(Exchanged::Failed(error)) => Err(of_host(&reach.name, &error)),
            Err(error) => Err(session.lost(reach, &error).await),
        }
    }

    async fn greet(&mut self, agent: &str) -> io::Result<()> {
        self.input.write_all(agent.as_bytes()).await?;
        self.input.flush().await?;
        let mut bytes_read = 0;
        while bytes_read < PREAMBLE {
            let text = self.read_line().await?;
            if text == GREETING.as_bytes() {
                return Ok(());
            }
            bytes_read += text.len() + 1;
        }
        Err(io::Error::other(
            "it greets at length, and does not come to the point",
        ))
    }

    async fn read_line(&mut self) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        let limit = (PREAMBLE * 16) as u64;
        (&mut self.output)
            .take(limit)
            .read_until(b'\n', &mut text)
            .await?;
        match text.pop() {
            Some(b'\n') => Ok(text),
            _ => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the connection has ended",
            )),
        }
    }

    /// Makes a request. An error means that this connection is of no more use; the request may or
    /// may not have been carried out.
    pub(super) async fn exchange(
        &mut self,
        name: &str,
        arguments: &[&str],
        streams: Streams,
    ) -> io::Result<Exchanged> {
        self.write(&request_format::request(name, arguments))
            .await?;
        if let Some(mut content) = streams.content {
            while let Some(piece) = content.recv().await {
                for piece in piece?.chunks(request_format::PIECE) {
                    self.write(format!("{}\n", piece.len()).as_bytes()).await?;
                    self.write(piece).await?;
                }
            }
            self.write(b"0\n").await?;
        }
        let mut answer = Answer::default();
        loop {
            let text = in_time(self.read_line()).await?;
            let answer_part = match request_format::line(&text)? {
                Line::Done => return Ok(Exchanged::Answered(answer)),
                Line::Failed(error) => return Ok(Exchanged::Failed(error)),
                Line::Text(text) => Part::Text(text),
                Line::Piece(size) => {
                    let mut answer_piece = vec![0; size];
                    in_time(self.output.read_exact(&mut answer_piece)).await?;
                    Part::Bytes(answer_piece)
                }
            };
            match (&streams.into, answer_part) {
                // Whoever wants no more of it does not get it.
                (Some(into), part) => drop(into.send(part).await),
                (None, Part::Text(text)) => answer.lines.push(text),
                (None, Part::Bytes(bytes)) => answer.content.extend(bytes),
            }
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        in_time(self.input.write_all(bytes)).await
    }

    /// Whether it can still be used, as far as one can tell.
    pub(super) fn lives(&mut self) -> bool {
        self.program.lives()
    }

    /// What it means that this connection broke off in the middle of a request.
    pub(super) async fn lost(&mut self, reach: &SshTarget, error: &io::Error) -> ProviderError {
        let (_, end) = self.program.end().await;
        let all_words = self.words() + &end;
        let last_line = all_words
            .lines()
            .map(str::trim)
            .rfind(|line| !line.is_empty());
        let error_words = last_line.map_or(error.to_string(), str::to_owned);
        ProviderError::new(
            ErrorKind::Unreachable,
            format!(
                "host {}: the connection was lost: {error_words}",
                reach.name
            ),
        )
    }

    fn words(&self) -> String {
        String::from_utf8_lossy(&self.said.lock().unwrap_or_else(PoisonError::into_inner))
            .into_owned()
    }
}

async fn in_time<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(SILENCE, work)
        .await
        .unwrap_or_else(|_| {
            Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("no answer within {} s", SILENCE.as_secs()),
            ))
        })
}

/// Begins the program as a child of this process; with what must not be dropped before it is there.
fn by_ssh(
    reach: &SshTarget,
    program: &str,
) -> Result<(ShellStreams, Option<KnownHostFile>), ProviderError> {
    let ssh_failed = |error: io::Error| {
        let message = match error.kind() {
            io::ErrorKind::NotFound => "there is no `ssh`: install the OpenSSH client".to_owned(),
            _ => format!("ssh cannot be run: {error}"),
        };
        ProviderError::new(ErrorKind::Other, message)
    };
    let (mut command, key_file) = reach.command(program).map_err(ssh_failed)?;
    let mut child = command.spawn().map_err(ssh_failed)?;
    let (Some(input), Some(output), Some(errors)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(ssh_failed(io::Error::other("it has no input or output")));
    };
    let (input, output, errors) = (Box::new(input), Box::new(output), Box::new(errors));
    Ok((
        ShellStreams {
            input,
            output,
            errors,
            program: Box::new(child),
        },
        key_file,
    ))
}

/// Keeps the end of what is said besides answers.
async fn listen_to_errors(
    mut errors: Box<dyn AsyncRead + Send + Unpin>,
    said_words: Arc<Mutex<Vec<u8>>>,
) {
    let mut read_piece = [0; 1024];
    while let Ok(size @ 1..) = errors.read(&mut read_piece).await {
        let mut said_bytes = said_words.lock().unwrap_or_else(PoisonError::into_inner);
        said_bytes.extend_from_slice(&read_piece[..size]);
        let bytes_over = said_bytes.len().saturating_sub(KEPT);
        said_bytes.drain(..bytes_over);
    }
}
