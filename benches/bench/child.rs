//! Other roles of a bench's own program, each in a process of its own: `--role NAME VALUE…` on the command line. A
//! role that serves prints its address as its first line.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};

/// A process that ends when it is dropped.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The role this process is to play, and what it was told with it.
pub fn role() -> Option<(String, Vec<String>)> {
    let mut words = std::env::args().skip_while(|word| word != "--role").skip(1);
    Some((words.next()?, words.collect()))
}

/// This program in another role.
pub fn command(role: &str, values: &[String]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("our own path"));
    command.arg("--role").arg(role).args(values).stdin(Stdio::null());
    command
}

/// Starts a command that prints its address first.
pub fn serve(mut command: Command) -> (Running, SocketAddr) {
    let mut child = command.stdout(Stdio::piped()).spawn().expect("a process");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("its first line");
    let address = line.trim().parse().unwrap_or_else(|_| panic!("{command:?} said {line:?} instead of its address"));
    (Running(child), address)
}

/// The ceiling, in a process of its own: hyper, the body read, 200.
pub fn bare_hyper() -> (Running, SocketAddr) {
    serve(command("bare", &[]))
}

/// A runtime like the daemon's.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// Tells whoever started us where we are.
pub fn announce(address: SocketAddr) {
    println!("{address}");
    std::io::stdout().flush().expect("somebody who reads");
}

/// Plays `bare`.
pub fn be_bare() {
    serve_all(|request| async move {
        request.into_body().collect().await?;
        Ok(hyper::Response::new(Empty::new()))
    });
}

/// A server on a port of its own that answers every request by `answer`, and does nothing else.
pub fn serve_all<F>(answer: impl Fn(hyper::Request<Incoming>) -> F + Clone + Send + 'static)
where
    F: Future<Output = Result<hyper::Response<Empty<Bytes>>, hyper::Error>> + Send + 'static,
{
    runtime().block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        announce(listener.local_addr().expect("an address"));
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).expect("nodelay");
            let service = hyper::service::service_fn(answer.clone());
            let io = hyper_util::rt::TokioIo::new(stream);
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
        }
    });
}
