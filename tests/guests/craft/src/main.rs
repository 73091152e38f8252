//! Writes the crafted components: `picket-guests-craft INTERFACES FOLDER`. Run by the build script of
//! `tests/guests-build`.
#![forbid(unsafe_code)]

mod components;

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(interfaces), Some(folder)) = (arguments.next(), arguments.next()) else {
        panic!("two arguments are expected: the folder of the interfaces, and where to write");
    };
    components::write_all(interfaces.as_ref(), folder.as_ref());
}
