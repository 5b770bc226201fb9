//! `paynowd serve`: the daemon.

use super::exit::Exit;
use super::{Ended, Place, output};
use crate::daemon::{self, DaemonError, Source, telemetry};
use crate::ledger::LedgerError;

/// How many threads serve requests at most: two of them bring more than the ledger's writer can write.
const WORKERS: usize = 2;

/// How many looks at connections go before one at what the writer has answered, at most. It waits in a queue behind the
/// worker's own, which a crowd keeps full: by the runtime's own rule some would wait for a tenth of a second.
const FAIRNESS: u32 = 2;

pub(super) fn run(place: Place) -> Ended {
    let (config, warnings) = place.config()?;
    let ledger = config.ledger.path.clone();
    telemetry::start(&config.log);
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers())
        .global_queue_interval(FAIRNESS)
        .enable_all()
        .build();
    let served = match runtime {
        Ok(runtime) => {
            let served =
                runtime.block_on(daemon::serve(config, Source { file: place.file, environment: place.environment }));
            // What must be finished is. A name that is still being looked up must not keep the process.
            runtime.shutdown_background();
            served
        }
        Err(source) => Err(DaemonError::System { doing: "start the runtime", source }),
    };
    match served {
        Ok(()) => Ok(Exit::Done),
        Err(error) => {
            if matches!(error, DaemonError::Ledger(LedgerError::Storage { .. })) {
                // What SQLite says names no file.
                output::complain(&ledger.display());
            }
            output::complain_of(&error);
            Err(match error {
                DaemonError::Ledger(LedgerError::Newer { .. } | LedgerError::Foreign { .. }) => Exit::Configuration,
                DaemonError::Listen { .. }
                | DaemonError::System { .. }
                | DaemonError::Ledger(_)
                | DaemonError::Client(_) => Exit::Unavailable,
                DaemonError::Heartbeat(_) | DaemonError::Fell(_) => Exit::Bug,
            })
        }
    }
}

/// How many threads serve requests here: one core is left to the writer, for whom all of them wait.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).clamp(1, WORKERS))
}
