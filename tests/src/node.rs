//! One agent in a folder of its own.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::disk::SmallDisk;
use crate::http::{self, Response};
use crate::ran::Ran;
use crate::wait::until;
use crate::{binary, rows};

/// What a node starts with.
pub struct NodeBuilder {
    folder: TempDir,
    config: String,
    program: PathBuf,
    environment: Vec<(String, String)>,
}

/// A running, stopped or killed agent and its folder.
pub struct Node {
    folder: TempDir,
    program: PathBuf,
    environment: Vec<(String, String)>,
    child: Option<Child>,
}

/// Runs the program once, without an agent and without a configuration, over some paths.
pub fn run(words: &[&str], paths: &[PathBuf]) -> Ran {
    let mut command = Command::new(binary::picket());
    command.args(words).arg("--plugin-dir").arg(binary::plugin_folder()).args(paths);
    Ran::of(&mut command)
}

/// Runs a verb of `rules` over some files, without an agent and without a configuration.
pub fn rules(words: &[&str], files: &[PathBuf]) -> Ran {
    let mut command = Command::new(binary::picket());
    command.arg("rules").args(words).arg("--component").arg(binary::plugin("promql-rules")).args(files);
    Ran::of(&mut command)
}

impl Node {
    /// A folder with the sub-folders `plugins`, `logs`, `files` and `data`, and a configuration that
    /// forwards everything to `results.ndjson`.
    pub fn builder() -> NodeBuilder {
        let folder =
            tempfile::Builder::new().prefix("picket-").tempdir().expect("a temporary folder can be made");
        for sub in ["plugins", "logs", "files", "data"] {
            fs::create_dir(folder.path().join(sub)).expect("a new folder takes sub-folders");
        }
        let root = folder.path().display().to_string();
        let config = format!(
            "data_dir = \"{root}/data\"\nplugin_dir = \"{root}/plugins\"\n\
             [api]\nlisten = \"127.0.0.1:0\"\nsocket = \"{root}/picket.sock\"\n\
             [reload]\nsettle = \"50ms\"\npoll = \"1s\"\n\
             [forwarders.results]\nkind = \"file\"\npath = \"{root}/results.ndjson\"\n"
        );
        NodeBuilder { folder, config, program: binary::picket().to_owned(), environment: Vec::new() }
    }

    /// A path in the node's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the agent and waits until it is ready.
    pub fn start(&mut self) {
        self.launch();
        self.until_ready();
    }

    /// Starts the agent without waiting.
    pub fn launch(&mut self) {
        assert!(self.child.is_none(), "the agent runs already");
        let log =
            OpenOptions::new().create(true).append(true).open(self.path("agent.log")).expect("the log opens");
        let child = Command::new(&self.program)
            .args(["run", "--config"])
            .arg(self.path("picket.toml"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("XDG_CACHE_HOME", binary::cache())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .spawn()
            .expect("the agent starts");
        self.child = Some(child);
    }

    /// Waits until `/readyz` says so. Panics with the log when the agent ends instead.
    pub fn until_ready(&mut self) {
        until("the agent becomes ready", || {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            if let Some(status) = ended {
                panic!("the agent ended with {status}:\n{}", self.log());
            }
            self.get("/readyz").filter(|answer| answer.status == 200)
        });
    }

    /// The agent's own log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("agent.log")).unwrap_or_default()
    }

    /// Ends the agent at once, as a power cut would end the process.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Both fail only when the process has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks the agent to finish its work and waits for its end.
    pub fn stop(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the agent runs");
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a child can be signalled");
        until("the agent ends", || child.try_wait().expect("a child can be waited for"))
    }

    /// Waits until the agent ends by itself.
    pub fn until_ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the agent runs");
        until("the agent ends by itself", || child.try_wait().expect("a child can be waited for"))
    }

    /// Runs another verb of the program with this node's configuration: `check`, `findings --severity high`.
    pub fn cli(&self, line: &str) -> Ran {
        let mut words = line.split_whitespace();
        let mut command = Command::new(binary::picket());
        command.args(words.next()).arg("--config").arg(self.path("picket.toml")).args(words);
        Ran::of(&mut command)
    }

    /// The agent's process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the agent runs").id()
    }

    /// Resident memory in bytes, from `/proc`.
    pub fn resident(&self) -> u64 {
        let statm = fs::read_to_string(format!("/proc/{}/statm", self.pid())).expect("the agent runs");
        let pages: u64 =
            statm.split(' ').nth(1).and_then(|field| field.parse().ok()).expect("statm has pages");
        pages * 4096
    }

    /// Asks the API; none when nobody answers.
    pub fn get(&self, path: &str) -> Option<Response> {
        http::request(&self.path("picket.sock"), "GET", path)
    }

    /// Asks the API over TCP, as anybody on the machine can; none when nobody answers.
    pub fn get_over_tcp(&self, path: &str) -> Option<Response> {
        self.ask_over_tcp("GET", path, "", &[])
    }

    /// Sends a form over TCP, as anybody on the machine can; none when nobody answers.
    pub fn post_over_tcp(&self, path: &str, form: &str) -> Option<Response> {
        let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
        self.ask_over_tcp("POST", path, kind, form.as_bytes())
    }

    fn ask_over_tcp(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Option<Response> {
        let address = self.address()?;
        let mut stream = TcpStream::connect(&address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
        let headers = format!("Host: {address}\r\n{headers}");
        http::exchange(&mut stream, &format!("{method} {path}"), &headers, body)
    }

    /// The data of a good answer of the part of the API that is Prometheus', asked for as `alerts` or `query?query=up`;
    /// none without one.
    pub fn prometheus(&self, rest: &str) -> Option<Value> {
        let answer = self.get(&format!("/prometheus/api/v1/{rest}"))?;
        (answer.status == 200).then(|| answer.json()["data"].take())
    }

    /// Where the API listens over TCP, as the log tells.
    pub fn address(&self) -> Option<String> {
        let log = self.log();
        let address = log.rsplit_once("listen=\"")?.1.split('"').next()?;
        Some(address.to_owned())
    }

    /// Asks for a reload.
    pub fn reload(&self) -> Response {
        http::request(&self.path("picket.sock"), "POST", "/-/reload").expect("the agent answers")
    }

    /// One plugin as the API shows it; null when there is none.
    pub fn plugin_status(&self, name: &str) -> Value {
        let Some(answer) = self.get("/api/v1/plugins") else { return Value::Null };
        let json = answer.json();
        let list = json["plugins"].as_array().or(json.as_array()).cloned().unwrap_or_default();
        list.into_iter().find(|plugin| plugin["name"] == name).unwrap_or(Value::Null)
    }

    /// The value of a metric's line that begins with `name`, zero when there is none.
    pub fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").map(|answer| answer.body).unwrap_or_default();
        text.lines()
            .filter_map(|line| line.rsplit_once(' '))
            .filter(|(series, _)| *series == name || series.starts_with(&format!("{name}{{")))
            .filter_map(|(_, value)| value.parse::<f64>().ok())
            .sum()
    }

    /// What the `file` forwarder has written.
    pub fn rows(&self) -> Vec<Value> {
        rows::rows(&self.path("results.ndjson"))
    }

    /// What another `file` forwarder has written to a file in the node's folder.
    pub fn rows_of(&self, name: &str) -> Vec<Value> {
        rows::rows(&self.path(name))
    }

    /// Waits until the forwarder has written `count` rows that satisfy a condition.
    pub fn until_rows(&self, what: &str, count: usize, condition: impl Fn(&Value) -> bool) -> Vec<Value> {
        until(what, || {
            let rows: Vec<_> = self.rows().into_iter().filter(|row| condition(row)).collect();
            (rows.len() >= count).then_some(rows)
        })
    }

    /// Installs a component under a name, as an operator should: written aside and renamed.
    pub fn install(&self, component: &Path, name: &str) {
        install(&self.path("plugins"), component, name);
    }

    /// Appends to a file in the node's folder.
    pub fn append(&self, name: &str, bytes: &[u8]) {
        append(&self.path(name), bytes);
    }

    /// Replaces the configuration below the fixed part.
    pub fn configure(&self, config: &str) {
        let path = self.path("picket.toml");
        let old = fs::read_to_string(&path).expect("the configuration is there");
        let fixed = old.split(MARK).next().unwrap_or_default();
        let new = self.path("picket.toml.new");
        fs::write(&new, format!("{fixed}{MARK}{}", expand(config, self.folder.path())))
            .expect("it can be written");
        fs::rename(new, path).expect("it can be renamed");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let tail = log.lines().rev().take(40).collect::<Vec<_>>();
            eprintln!("--- the agent's last log lines");
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
        self.kill();
    }
}

/// What the harness writes ends here, what the test wrote begins.
const MARK: &str = "# --- the test's own configuration\n";

impl NodeBuilder {
    /// Adds to the configuration; `{dir}` is the node's folder.
    pub fn config(mut self, text: &str) -> Self {
        if !self.config.contains(MARK) {
            self.config.push_str(MARK);
        }
        self.config.push_str(&expand(text, self.folder.path()));
        self.config.push('\n');
        self
    }

    /// Runs another program as the agent, with more variables in its environment.
    pub fn program(mut self, program: &str, environment: &[(&str, &str)]) -> Self {
        self.program = program.into();
        self.environment =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self
    }

    /// Installs a component as the plugin `name`.
    pub fn install(self, component: &Path, name: &str) -> Self {
        install(&self.folder.path().join("plugins"), component, name);
        self
    }

    /// Writes a file into the folder.
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        fs::write(self.folder.path().join(name), content).expect("a file can be written");
        self
    }

    /// Lets a name in the folder lead to a small disk: `data` for what the agent keeps.
    pub fn on_disk(self, name: &str, disk: &SmallDisk) -> Self {
        let link = self.folder.path().join(name);
        if link.exists() {
            fs::remove_dir(&link).expect("the sub-folder is still empty");
        }
        symlink(disk.path(), link).expect("a link can be made");
        self
    }

    /// Writes the configuration; nothing runs yet.
    pub fn build(self) -> Node {
        fs::write(self.folder.path().join("picket.toml"), &self.config)
            .expect("the configuration can be written");
        Node { folder: self.folder, program: self.program, environment: self.environment, child: None }
    }

    /// Starts the agent and waits until it is ready.
    pub fn start(self) -> Node {
        let mut node = self.build();
        node.start();
        node
    }
}

fn expand(text: &str, folder: &Path) -> String {
    text.replace("{dir}", &folder.display().to_string())
}

fn install(folder: &Path, component: &Path, name: &str) {
    let new = folder.join(format!(".{name}.new"));
    fs::copy(component, &new).expect("the component can be copied");
    fs::rename(new, folder.join(format!("{name}.wasm"))).expect("it can be renamed");
}

fn append(path: &Path, bytes: &[u8]) {
    let mut file: File = OpenOptions::new().create(true).append(true).open(path).expect("the file opens");
    file.write_all(bytes).expect("the file can be written");
}
