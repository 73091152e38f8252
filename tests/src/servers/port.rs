//! A port of loopback that stays a server's own, also while the server is down.
//!
//! It is held by a socket that is bound and never listens: nobody else is given the port, whoever connects is
//! refused, and a server that sets `SO_REUSEADDR`, as all of ours do, can listen on it beside.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt};

/// See the module's description. Given back when this is dropped.
pub(crate) struct Port {
    address: SocketAddr,
    _held: OwnedFd,
}

impl Port {
    /// One that nobody has, chosen by the system.
    pub(crate) fn reserve() -> Self {
        let held = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)
            .expect("a socket can be made");
        sockopt::set_socket_reuseaddr(&held, true).expect("a new socket takes options");
        bind(&held, &SocketAddr::from(([127, 0, 0, 1], 0))).expect("loopback has a free port");
        let address = getsockname(&held).expect("a bound socket has an address");
        Self { address: address.try_into().expect("it was bound to an IP address"), _held: held }
    }

    /// The address, such as `127.0.0.1:40123`.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}
