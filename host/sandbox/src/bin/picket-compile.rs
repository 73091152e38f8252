//! The compiling child alone, without the agent: what this crate's own tests run as the compiler.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    picket_sandbox::compile_child()
}
