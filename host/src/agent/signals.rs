//! SIGHUP reloads, SIGTERM and SIGINT drain and stop, a second one of them stops at once.

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::control::{Control, Request};

/// What a process killed by SIGTERM would report to a shell.
const KILLED: i32 = 128 + 15;

/// Listens until it is stopped.
pub(super) struct Signals {
    runtime: tokio::runtime::Runtime,
}

impl Signals {
    /// Ends listening.
    pub(super) fn stop(self) {
        self.runtime.shutdown_background();
    }
}

/// Starts listening, on a thread of its own.
pub(super) fn start(control: Control) -> anyhow::Result<Signals> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("picket-signals")
        .enable_io()
        .build()
        .context("the thread for signals cannot be started")?;
    let _entered = runtime.enter();
    let signals = [SignalKind::hangup(), SignalKind::terminate(), SignalKind::interrupt()].map(signal);
    let [hangup, terminate, interrupt] = signals;
    runtime.spawn(listen(hangup?, terminate?, interrupt?, control));
    Ok(Signals { runtime })
}

async fn listen(mut hangup: Signal, mut terminate: Signal, mut interrupt: Signal, control: Control) {
    let mut stopping = false;
    loop {
        tokio::select! {
            _ = hangup.recv() => {
                control.send(Request::Reload(None));
                continue;
            }
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if stopping {
            tracing::warn!(
                "The agent was told to stop for the second time and stops at once; nothing committed is lost."
            );
            #[expect(
                clippy::disallowed_methods,
                reason = "the operator does not want to wait for anything any more"
            )]
            std::process::exit(KILLED);
        }
        stopping = true;
        control.send(Request::Stop);
    }
}
