//! The components that no compiler of guests would make: from a module whose functions all trap, with more
//! WebAssembly text in it, for a world of a few lines.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve};

/// The version of the interfaces.
const VERSION: &str = "0.1.0";
/// A world with the exports of an analyzer.
const ANALYZER: &str = "include picket:plugin/base@0.1.0; include picket:plugin/analyzer-kind@0.1.0;";
/// Blocks of the compile bomb: enough for many seconds on any machine.
const BOMB_BLOCKS: usize = 60_000;

/// Writes each component as `<name>.wasm` into a folder.
pub(crate) fn write_all(interfaces: &Path, folder: &Path) {
    fs::create_dir_all(folder).expect("the folder can be made");
    let write = |name: &str, component: Vec<u8>| {
        fs::write(folder.join(name).with_extension("wasm"), component).expect("a file can be written there");
    };
    let wit = Interfaces::read(interfaces);
    let analyzer = |text: &str| wit.component(VERSION, ANALYZER, text);
    write("endless-start", analyzer("(func $go (loop br 0)) (start $go)"));
    write("growing-start", analyzer("(func $go (drop (memory.grow (i32.const 2000)))) (start $go)"));
    write(
        "table-bomb",
        analyzer(
            "(table $t 1 funcref)
             (func $go (loop (drop (table.grow $t (ref.null func) (i32.const 1000))) br 0)) (start $go)",
        ),
    );
    write("many-tables", analyzer(&"(table 9000 funcref)".repeat(3)));
    write("compile-bomb", analyzer(&bomb(BOMB_BLOCKS)));

    let world = |lines: &str| wit.component(VERSION, lines, "");
    write("two-kinds", world(&format!("{ANALYZER} include picket:plugin/query-kind@0.1.0;")));
    write("no-kind", world("include picket:plugin/base@0.1.0;"));
    write("no-lifecycle", world("include picket:plugin/analyzer-kind@0.1.0;"));
    write("no-plugin", world("export run: func();"));
    write("unknown-kind", world(&format!("{ANALYZER} export picket:plugin/telepath@0.1.0;")));
    write("unknown-import", world(&format!("{ANALYZER} import telepathy: interface {{ think: func(); }}")));
    write("later-version", wit.component("0.2.0", &ANALYZER.replace(VERSION, "0.2.0"), ""));
}

/// A function with so many locals and blocks that compiling it takes long and much memory.
fn bomb(blocks: usize) -> String {
    let mut text = format!("(func (param i32) (local{})", " i64".repeat(1000));
    for block in 0..blocks {
        let local = block % 1000 + 1;
        write!(
            text,
            "(if (local.get 0) (then (local.set {local} (i64.add (local.get {local}) (i64.const {block})))))"
        )
        .expect("a text takes everything");
    }
    text + ")"
}

/// The text of the interfaces.
struct Interfaces(String);

impl Interfaces {
    fn read(folder: &Path) -> Self {
        let files = fs::read_dir(folder).expect("the interfaces are there");
        let mut paths: Vec<PathBuf> = files.map(|file| file.expect("a folder can be read").path()).collect();
        // A list of names stands beside the interfaces.
        paths.retain(|path| path.extension().is_some_and(|ending| ending == "wit"));
        // The file that names the package must come first.
        paths.sort_by_key(|path| !path.ends_with("types.wit"));
        let mut text = String::new();
        for path in paths {
            text.push_str(&fs::read_to_string(path).expect("an interface can be read"));
        }
        // A kind that no agent knows.
        text.push_str("interface telepath { read: func(); }");
        Self(text)
    }

    fn component(&self, version: &str, lines: &str, text: &str) -> Vec<u8> {
        let package = format!("package picket:plugin@{VERSION};");
        assert!(self.0.contains(&package), "the interfaces have another version now");
        let interfaces = self.0.replace(&package, &format!("package picket:plugin@{version};"));
        let mut resolve = Resolve::default();
        resolve.push_str("plugin.wit", &interfaces).expect("the interfaces are valid");
        let world = format!("package picket:crafted; world crafted {{ {lines} }}");
        let package = resolve.push_str("crafted.wit", &world).expect("the lines are valid");
        let world = resolve.select_world(&[package], None).expect("there is one world");
        let dummy = wit_component::dummy_module(&resolve, world, ManglingAndAbi::Standard32);
        let module = wasmprinter::print_bytes(&dummy).expect("a valid module can be printed");
        let open = module.trim_end().strip_suffix(')').expect("a module ends with a parenthesis");
        let mut module = wat::parse_str(format!("{open}\n{text})")).expect("the text is valid");
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
            .expect("the module can say what it is");
        let mut encoder = ComponentEncoder::default();
        let encoder = encoder.module(&module).expect("the module fits its world");
        encoder.validate(false).encode().expect("the component can be encoded")
    }
}
