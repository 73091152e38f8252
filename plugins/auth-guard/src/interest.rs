//! The literals that the plugin asks the host for. Every message that `parse` reads holds one of them;
//! a test on the samples shows it.

/// Pieces of the messages. As long as they can be: a common word such as `Failed ` would
/// bring lines that are none of the plugin's business.
pub const LITERALS: [&str; 40] = [
    // sshd
    "Failed password for ",
    "Failed publickey for ",
    "Failed keyboard-interactive",
    "Failed none for ",
    "Failed hostbased for ",
    "Failed gssapi-",
    "Invalid user ",
    "Illegal user ",
    "Accepted password for ",
    "Accepted publickey for ",
    "Accepted keyboard-interactive",
    "Accepted gssapi-",
    "Accepted hostbased for ",
    " by authenticating user ",
    " by invalid user ",
    "Disconnected from authenticating user ",
    "Disconnected from invalid user ",
    "Disconnecting ",
    "maximum authentication attempts exceeded",
    " not allowed because ",
    "ROOT LOGIN ",
    "banner exchange: Connection from ",
    "Unable to negotiate with ",
    "identification string from ",
    "Bad protocol version identification ",
    // sudo, su, login; `(to ` also stands in `FAILED SU (to root)`.
    "COMMAND=",
    "(to ",
    "FAILED LOGIN ",
    "TOO MANY LOGIN TRIES ",
    "LOGIN ON ",
    " su for ",
    "BAD SU ",
    " to root on /",
    // The tools that change accounts
    "new user: name=",
    "' to group '",
    " added by ",
    // PAM
    "uthentication ",
    "PAM: ",
    "Consecutive login failures ",
    "(login:session): session opened",
];
