//! Exit codes: what a script can rely on. The numbers are those of `sysexits.h`.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// Done.
    Done,
    /// The answer is no: a check found something, nothing of that name exists.
    No,
    /// The command line was wrong.
    Usage,
    /// Something needed is not to be had right now: a file, a socket, a peer.
    Unavailable,
    /// A bug of ours.
    Bug,
    /// The configuration is wrong.
    Configuration,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::No => 1,
            Exit::Usage => 64,
            Exit::Unavailable => 69,
            Exit::Bug => 70,
            Exit::Configuration => 78,
        })
    }
}
