//! HTTP by hand, so that a request can be as odd as a test wants it.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::DEADLINE;

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    /// A header's value, if it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// A connection that stays open between requests.
pub struct Line(TcpStream);

impl Line {
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    /// Says these bytes and waits for one answer.
    pub async fn ask(&mut self, bytes: &[u8]) -> io::Result<Answer> {
        self.say(bytes).await?;
        self.answer().await
    }

    pub async fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await
    }

    pub async fn answer(&mut self) -> io::Result<Answer> {
        timeout(DEADLINE, self.read()).await.unwrap_or_else(|_| Err(io::Error::other("no answer in time")))
    }

    /// An answer; one that begins and does not end is invalid data.
    async fn read(&mut self) -> io::Result<Answer> {
        let mut heard = Vec::new();
        let answer = self.read_into(&mut heard).await;
        answer.map_err(|error| if heard.is_empty() { error } else { io::Error::new(io::ErrorKind::InvalidData, error) })
    }

    async fn read_into(&mut self, heard: &mut Vec<u8>) -> io::Result<Answer> {
        loop {
            if let Some(end) = heard.windows(4).position(|four| four == b"\r\n\r\n") {
                let start = String::from_utf8_lossy(&heard[..end]).into_owned();
                let mut lines = start.split("\r\n");
                let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
                let headers: Vec<(String, String)> = lines
                    .filter_map(|line| line.split_once(':'))
                    .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
                    .collect();
                let mut answer = Answer { status: status.unwrap_or(0), headers, body: String::new() };
                let length: usize = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
                let mut body = heard.split_off(end + 4);
                while body.len() < length {
                    self.more(&mut body).await?;
                }
                answer.body = String::from_utf8_lossy(&body).into_owned();
                return Ok(answer);
            }
            self.more(heard).await?;
        }
    }

    async fn more(&mut self, heard: &mut Vec<u8>) -> io::Result<()> {
        if self.0.read_buf(heard).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

/// A request with a length, and these further headers (`name: value`).
pub fn request(method: &str, path: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: shop.example\r\nContent-Length: {}\r\n", body.len());
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

/// The header of every form.
pub const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

/// One request over a connection of its own.
pub async fn ask(address: SocketAddr, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
    let mut line = Line::open(address).await.unwrap();
    line.ask(&request(method, path, headers, body)).await.unwrap()
}

/// One form over a connection of its own.
pub async fn post(address: SocketAddr, path: &str, body: impl AsRef<[u8]>) -> Answer {
    ask(address, "POST", path, &[FORM], body.as_ref()).await
}
