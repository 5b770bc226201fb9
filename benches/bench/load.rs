//! The load: requests made beforehand, written to kept connections by one thread over epoll. It does as little as can
//! be done, because it shares the cores with what it measures.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};

use super::numbers::{per_second, percentile};

/// The largest answer anybody gives.
const ANSWER: usize = 4096;

/// How long an answer may take before the bench ends: something is broken.
const PATIENCE: Duration = Duration::from_mins(1);

/// Requests, one after the other.
#[derive(Default)]
pub struct Requests {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Requests {
    pub fn push(&mut self, request: &[u8]) {
        self.bytes.extend_from_slice(request);
        self.ends.push(self.bytes.len());
    }

    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    fn get(&self, at: usize) -> &[u8] {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[at]]
    }
}

impl<T: AsRef<[u8]>> FromIterator<T> for Requests {
    fn from_iter<I: IntoIterator<Item = T>>(requests: I) -> Self {
        let mut all = Self::default();
        requests.into_iter().for_each(|request| all.push(request.as_ref()));
        all
    }
}

/// When requests are sent.
#[derive(Clone, Copy)]
pub enum Pace {
    /// The next one as soon as a connection has its answer.
    Closed,
    /// So many a second, whatever the answers do; the time of each counts from when it was due.
    Open(u64),
}

/// How a round goes.
#[derive(Clone, Copy)]
pub struct Round {
    pub server: SocketAddr,
    pub connections: usize,
    pub pace: Pace,
    /// When the last request is sent at the latest.
    pub lasts: Duration,
    /// Whether the requests may be sent again from the first when there is none left.
    pub again: bool,
    /// How answers are read.
    pub read: ReadAnswer,
}

/// The status and the length of the answer that these bytes begin with, once it is whole.
pub type ReadAnswer = fn(&[u8]) -> Option<(u16, usize)>;

/// What a round measured.
pub struct Measured {
    /// Answers 200.
    pub taken: u64,
    /// Answers 503.
    pub refused: u64,
    /// From the first request to the last answer.
    pub lasted: Duration,
    /// How long each 200 took, in order.
    pub times: Vec<Duration>,
    /// How long each 503 took, in order.
    pub refusal_times: Vec<Duration>,
    /// Answers 503 that do not say when to come back.
    pub curt: u64,
    /// Connections that the server closed, and that were opened again.
    pub closed: u64,
}

impl Measured {
    pub fn rate(&self) -> u64 {
        per_second(self.taken, self.lasted)
    }

    pub fn p50(&self) -> Duration {
        percentile(&self.times, 500)
    }

    pub fn p99(&self) -> Duration {
        percentile(&self.times, 990)
    }
}

impl Round {
    /// One request after the other over each of so many connections, for so long.
    pub fn closed(server: SocketAddr, connections: usize, lasts: Duration) -> Self {
        Self { server, connections, pace: Pace::Closed, lasts, again: false, read: http }
    }

    /// So many requests a second.
    pub fn open(server: SocketAddr, connections: usize, lasts: Duration, per_second: u64) -> Self {
        Self { pace: Pace::Open(per_second), ..Self::closed(server, connections, lasts) }
    }

    /// The same, with requests that may be sent any number of times.
    pub fn again(self) -> Self {
        Self { again: true, ..self }
    }

    /// Sends requests until the time or the requests are over and every answer is there.
    ///
    /// Anything but 200 and 503 ends the bench.
    pub fn drive(self, requests: &Requests) -> Measured {
        Crowd::new(self, requests).drive()
    }
}

/// One connection.
struct Line {
    stream: TcpStream,
    heard: Vec<u8>,
    /// When the request it waits for was due.
    due: Instant,
    waits: bool,
}

struct Crowd<'a> {
    round: Round,
    requests: &'a Requests,
    epoll: std::os::fd::OwnedFd,
    lines: Vec<Line>,
    idle: Vec<usize>,
    /// When the requests were due that found no idle connection.
    late: VecDeque<Instant>,
    sent: usize,
    waiting: usize,
    start: Instant,
    measured: Measured,
}

impl<'a> Crowd<'a> {
    fn new(round: Round, requests: &'a Requests) -> Self {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("epoll");
        let lines: Vec<Line> = (0..round.connections)
            .map(|at| Line {
                stream: connect(&epoll, round.server, at),
                heard: Vec::new(),
                due: Instant::now(),
                waits: false,
            })
            .collect();
        Self {
            round,
            requests,
            epoll,
            idle: (0..lines.len()).rev().collect(),
            lines,
            late: VecDeque::new(),
            sent: 0,
            waiting: 0,
            start: Instant::now(),
            measured: Measured {
                taken: 0,
                refused: 0,
                lasted: Duration::ZERO,
                times: Vec::with_capacity(requests.len().min(1 << 20)),
                refusal_times: Vec::new(),
                curt: 0,
                closed: 0,
            },
        }
    }

    fn drive(mut self) -> Measured {
        let mut events =
            vec![epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) }; 256];
        self.start = Instant::now();
        let mut planned = 0_u64;
        loop {
            let now = Instant::now();
            let over = now - self.start >= self.round.lasts;
            let wait = match self.round.pace {
                Pace::Closed => {
                    while !over
                        && self.has_more()
                        && let Some(line) = self.idle.pop()
                    {
                        self.send(line, Instant::now());
                    }
                    PATIENCE
                }
                Pace::Open(rate) => {
                    let due = |count: u64| self.start + Duration::from_nanos(count * (1_000_000_000 / rate));
                    while due(planned) <= now && due(planned) - self.start < self.round.lasts {
                        self.late.push_back(due(planned));
                        planned += 1;
                    }
                    let next = due(planned);
                    while self.has_more()
                        && !self.late.is_empty()
                        && let Some(line) = self.idle.pop()
                    {
                        let due = self.late.pop_front().unwrap_or(now);
                        self.send(line, due);
                    }
                    if over { PATIENCE } else { next.saturating_duration_since(Instant::now()) }
                }
            };
            let finished = !self.has_more() || (over && self.late.is_empty());
            if finished && self.waiting == 0 {
                break;
            }
            let timeout = Timespec { tv_sec: wait.as_secs().cast_signed(), tv_nsec: wait.subsec_nanos().into() };
            let count = match epoll::wait(&self.epoll, events.as_mut_slice(), Some(&timeout)) {
                Ok(count) => count,
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => panic!("epoll: {error}"),
            };
            assert!(count > 0 || wait < PATIENCE, "no answer within {PATIENCE:?}; {} are awaited", self.waiting);
            for event in &events[..count] {
                let data = event.data;
                self.hear(usize::try_from(data.u64()).expect("the number of a line"), over);
            }
        }
        self.measured.lasted = self.start.elapsed();
        self.measured.times.sort_unstable();
        self.measured.refusal_times.sort_unstable();
        self.measured
    }

    const fn has_more(&self) -> bool {
        self.round.again || self.sent < self.requests.len()
    }

    fn send(&mut self, at: usize, due: Instant) {
        let request = self.requests.get(self.sent % self.requests.len());
        self.sent += 1;
        self.waiting += 1;
        let line = &mut self.lines[at];
        line.due = due;
        line.waits = true;
        let mut rest = request;
        while !rest.is_empty() {
            match line.stream.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                // It was closed meanwhile; reading says so.
                Err(_) => return,
            }
        }
    }

    /// Reads what is there, and sends the next request if that is all.
    fn hear(&mut self, at: usize, over: bool) {
        let line = &mut self.lines[at];
        let mut buffer = [0_u8; ANSWER];
        let heard = match line.stream.read(&mut buffer) {
            Ok(0) => return self.reopen(at),
            Ok(heard) => &buffer[..heard],
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(_) => return self.reopen(at),
        };
        let whole = if line.heard.is_empty() {
            (self.round.read)(heard).inspect(|(_, length)| assert_eq!(*length, heard.len(), "one answer at a time"))
        } else {
            line.heard.extend_from_slice(heard);
            (self.round.read)(&line.heard)
        };
        let Some((status, _)) = whole else {
            if line.heard.is_empty() {
                line.heard.extend_from_slice(heard);
            }
            return;
        };
        if status != 200 && status != 503 {
            let text = if line.heard.is_empty() { heard } else { &line.heard };
            panic!("the server answered {}", String::from_utf8_lossy(text));
        }
        let text = if line.heard.is_empty() { heard } else { &line.heard };
        if status == 503 && !text.windows(12).any(|word| word.eq_ignore_ascii_case(b"retry-after:")) {
            self.measured.curt += 1;
        }
        line.heard.clear();
        line.waits = false;
        self.waiting -= 1;
        let now = Instant::now();
        if status == 200 {
            self.measured.taken += 1;
            self.measured.times.push(now - line.due);
        } else {
            self.measured.refused += 1;
            self.measured.refusal_times.push(now - line.due);
        }
        match self.round.pace {
            Pace::Closed if !over && self.has_more() => self.send(at, now),
            Pace::Closed | Pace::Open(_) => self.idle.push(at),
        }
    }

    /// The server has closed a connection. What it left unanswered is as good as refused.
    fn reopen(&mut self, at: usize) {
        let line = &mut self.lines[at];
        self.measured.closed += 1;
        line.heard.clear();
        line.stream = connect(&self.epoll, self.round.server, at);
        if std::mem::take(&mut line.waits) {
            self.waiting -= 1;
            self.idle.push(at);
        }
    }
}

fn connect(epoll: &std::os::fd::OwnedFd, server: SocketAddr, at: usize) -> TcpStream {
    let stream = TcpStream::connect(server).expect("a connection");
    stream.set_nodelay(true).expect("nodelay");
    stream.set_nonblocking(true).expect("no waiting");
    epoll::add(epoll, &stream, epoll::EventData::new_u64(at as u64), epoll::EventFlags::IN).expect("a watch on it");
    stream
}

/// Reads an HTTP answer that says how long it is.
pub fn http(heard: &[u8]) -> Option<(u16, usize)> {
    let end = heard.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let status = std::str::from_utf8(heard.get(9..12)?).ok()?.parse().ok()?;
    let body = heard[..end]
        .split(|byte| *byte == b'\n')
        .find(|line| line.len() > 15 && line[..15].eq_ignore_ascii_case(b"content-length:"))
        .and_then(|line| std::str::from_utf8(&line[15..]).ok()?.trim().parse::<usize>().ok())
        .unwrap_or_default();
    (heard.len() >= end + body).then_some((status, end + body))
}
