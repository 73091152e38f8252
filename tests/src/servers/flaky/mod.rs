//! Trouble on the way to a real receiver: a proxy between it and the agent that refuses, answers itself, resets,
//! delays, and loses replies, as it is told, and counts what it did.
//!
//! It understands HTTP/1.1 in plain text, or passes bytes of any protocol. It knows nothing of what is sent.

mod http;
mod tcp;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::http_server::Gate;
use super::port::Port;

/// What happens to one request, or to one connection where bytes are passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// None: the request goes on and its reply comes back.
    Pass,
    /// The proxy answers with a status, and with a `Retry-After` if there is one. The receiver sees nothing. Not
    /// for connections.
    Answer(u16, Option<&'static str>),
    /// The connection is reset while the request comes in. The receiver sees nothing.
    Reset,
    /// The request waits so long, then goes on. It does not when the sender has gone away meanwhile.
    Delay(Duration),
    /// The receiver has accepted the request, and then the connection is reset: the reply is lost. A refusal
    /// comes back as it is. Where bytes are passed, the first that come back after some went on are lost.
    LoseReply,
}

/// What the proxy has done so far, in requests, or in connections where bytes are passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All that have begun.
    pub begun: u64,
    /// Those whose reply came back, whatever it was.
    pub passed: u64,
    /// Those that the proxy answered itself.
    pub answered: u64,
    /// Those that were reset before the receiver saw anything.
    pub resets: u64,
    /// Those that the receiver accepted and whose reply the sender did not get: each may come once more. A
    /// reply that was written while the sender ended is not seen to be lost.
    pub lost: u64,
    /// Those for which the receiver could not be reached, or broke off; the sender was reset.
    pub unreachable: u64,
}

/// See the module's description. The address stays the same as long as it lives.
pub struct Flaky {
    gate: Gate,
    shared: Arc<Shared>,
}

/// What all connections know.
struct Shared {
    upstream: SocketAddr,
    speaks_http: bool,
    plan: Mutex<Plan>,
    counts: Mutex<Counts>,
    lost: Mutex<Vec<Vec<u8>>>,
}

/// Which fault comes next: those that come once, then the others over and over.
struct Plan {
    once: VecDeque<Fault>,
    repeated: VecDeque<Fault>,
}

impl Flaky {
    /// In front of an HTTP server; passes everything until it is told otherwise.
    pub fn http(upstream: SocketAddr) -> Self {
        let shared = Shared::new(upstream, true);
        let served = Arc::clone(&shared);
        let gate = Gate::open(Arc::new(move |stream| Box::pin(http::serve(stream, Arc::clone(&served)))));
        Self { gate, shared }
    }

    /// In front of a server of any protocol, connection by connection.
    pub fn tcp(upstream: SocketAddr) -> Self {
        let shared = Shared::new(upstream, false);
        let served = Arc::clone(&shared);
        let gate = Gate::open(Arc::new(move |stream| Box::pin(tcp::serve(stream, Arc::clone(&served)))));
        Self { gate, shared }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.gate.address()
    }

    /// The beginning of all URLs: `http://127.0.0.1:40123`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// From now on these faults come in turn, over and over, one for each request.
    pub fn repeat(&self, faults: &[Fault]) {
        assert!(!faults.is_empty(), "`Fault::Pass` is how nothing happens");
        self.shared.check(faults);
        let mut plan = self.shared.plan.lock().unwrap_or_else(PoisonError::into_inner);
        *plan = Plan { once: VecDeque::new(), repeated: faults.to_vec().into() };
    }

    /// These come once, before what is repeated.
    pub fn once(&self, faults: &[Fault]) {
        self.shared.check(faults);
        let mut plan = self.shared.plan.lock().unwrap_or_else(PoisonError::into_inner);
        plan.once.extend(faults.iter().cloned());
    }

    /// Closes all connections and refuses new ones until [`allow`](Self::allow): the receiver is away.
    pub fn refuse(&self) {
        self.gate.shut();
    }

    /// Takes connections again.
    pub fn allow(&self) {
        self.gate.reopen();
    }

    /// What it has done so far.
    pub fn counts(&self) -> Counts {
        *self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bodies of the requests whose replies were lost: what is in them may come once more. Empty where
    /// bytes are passed.
    pub fn lost_bodies(&self) -> Vec<Vec<u8>> {
        self.shared.lost.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// An address of loopback where nobody listens, and nobody will, as long as this lives.
pub struct Nobody(Port);

impl Nobody {
    /// A new one.
    pub fn reserve() -> Self {
        Self(Port::reserve())
    }

    /// Where whoever connects is refused.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }
}

impl Shared {
    fn new(upstream: SocketAddr, speaks_http: bool) -> Arc<Self> {
        let plan = Plan { once: VecDeque::new(), repeated: VecDeque::from([Fault::Pass]) };
        let (counts, lost) = (Mutex::default(), Mutex::default());
        Arc::new(Self { upstream, speaks_http, plan: Mutex::new(plan), counts, lost })
    }

    fn check(&self, faults: &[Fault]) {
        let has_answer = faults.iter().any(|fault| matches!(fault, Fault::Answer(..)));
        assert!(self.speaks_http || !has_answer, "only HTTP has answers with a status");
    }

    /// What happens to the request that begins now.
    fn begin(&self) -> Fault {
        self.count(|counts| counts.begun += 1);
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        plan.once.pop_front().unwrap_or_else(|| {
            plan.repeated.rotate_left(1);
            plan.repeated.back().cloned().unwrap_or(Fault::Pass)
        })
    }

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The receiver has accepted a request, and its sender will not learn it.
    fn lose(&self, body: Vec<u8>) {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).push(body);
        self.count(|counts| counts.lost += 1);
    }
}
