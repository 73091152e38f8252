//! Runs a template. Bounded: a rule's text comes from a file, but its labels and samples from anywhere.

use std::rc::Rc;

use super::functions::{self, Context};
use super::syntax::{Branch, Command, List, Node, Operand, Pipe, Tree};
use super::value::{Fields, Value};
use super::{Ask, Data, builtin, print};

/// Nodes and calls of one template: a list of a thousand series with ten actions each.
const MAX_STEPS: u32 = 20_000;
/// Bytes that one template may make: Alertmanager's receivers cut at less.
const MAX_OUTPUT: usize = 64 << 10;
/// How deep actions and templates that call each other may go, all together: a guest's stack is small.
const MAX_DEPTH: u32 = 48;

/// Why a list of nodes ended.
#[derive(PartialEq)]
enum Flow {
    On,
    Break,
    Continue,
}

type Ran<T> = Result<T, String>;

pub(super) fn run(template: &Tree, data: &Data, ask: &mut dyn Ask) -> Ran<String> {
    let root = Value::Data(Rc::new(Fields {
        labels: Rc::clone(&data.labels),
        external_labels: Rc::clone(&data.external_labels),
        external_url: Rc::clone(&data.external_url),
        value: data.value,
    }));
    let mut runner = Runner {
        template,
        context: Context { external_url: &data.external_url, now: data.now, ask },
        variables: vec![
            ("$", root.clone()),
            ("$labels", Value::Labels(Rc::clone(&data.labels))),
            ("$externalLabels", Value::Labels(Rc::clone(&data.external_labels))),
            ("$externalURL", Value::Text(Rc::clone(&data.external_url))),
            ("$value", Value::Float(data.value)),
        ],
        output: String::new(),
        steps: 0,
        depth: 0,
    };
    runner.list(&template.main, &root)?;
    Ok(runner.output)
}

struct Runner<'t, 'a> {
    template: &'t Tree,
    context: Context<'a>,
    variables: Vec<(&'t str, Value)>,
    output: String,
    steps: u32,
    depth: u32,
}

impl<'t> Runner<'t, '_> {
    fn step(&mut self) -> Ran<()> {
        self.steps += 1;
        match self.steps > MAX_STEPS {
            true => Err(format!("more than {MAX_STEPS} steps")),
            false => Ok(()),
        }
    }

    fn write(&mut self, text: &str) -> Ran<()> {
        if self.output.len() + text.len() > MAX_OUTPUT {
            return Err(format!("more than {MAX_OUTPUT} bytes"));
        }
        self.output.push_str(text);
        Ok(())
    }

    fn list(&mut self, list: &'t List, dot: &Value) -> Ran<Flow> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("actions and templates lie more than {MAX_DEPTH} deep in each other"));
        }
        let scope = self.variables.len();
        let mut flow = Flow::On;
        for node in list {
            flow = self.node(node, dot)?;
            if flow != Flow::On {
                break;
            }
        }
        self.variables.truncate(scope);
        self.depth -= 1;
        Ok(flow)
    }

    fn node(&mut self, node: &'t Node, dot: &Value) -> Ran<Flow> {
        self.step()?;
        match node {
            Node::Text(text) => self.write(text)?,
            Node::Action(pipe) => {
                let value = self.pipe(pipe, dot)?;
                if pipe.variables.is_empty() {
                    self.write(&print::shown(&value))?;
                }
            }
            Node::If(branch) => return self.branch(branch, dot, false),
            Node::With(branch) => return self.branch(branch, dot, true),
            Node::Range(branch) => return self.range(branch, dot),
            Node::Template(name, pipe) => self.template(name, pipe.as_ref(), dot)?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn branch(&mut self, branch: &'t Branch, dot: &Value, is_with: bool) -> Ran<Flow> {
        let scope = self.variables.len();
        let value = self.pipe(&branch.pipe, dot)?;
        let flow = match value.is_true() {
            true => self.list(&branch.then, if is_with { &value } else { dot })?,
            false => self.list(&branch.otherwise, dot)?,
        };
        self.variables.truncate(scope);
        Ok(flow)
    }

    fn range(&mut self, branch: &'t Branch, dot: &Value) -> Ran<Flow> {
        let scope = self.variables.len();
        let over = self.value_of(&branch.pipe, dot)?;
        let items: Vec<(Value, Value)> = match over {
            Value::Nil => Vec::new(),
            Value::Samples(samples) => {
                let pair =
                    |(at, sample): (usize, &_)| (Value::Int(at as i64), Value::Sample(Rc::clone(sample)));
                samples.iter().enumerate().map(pair).collect()
            }
            Value::Labels(labels) => {
                let pair = |(name, value): (&String, &String)| (Value::text(&**name), Value::text(&**value));
                labels.iter().map(pair).collect()
            }
            Value::Map(map) => {
                map.iter().map(|(name, value)| (Value::text(&**name), value.clone())).collect()
            }
            Value::Int(number) => {
                let most = i64::from(MAX_STEPS);
                (0..number.min(most)).map(|at| (Value::Int(at), Value::Int(at))).collect()
            }
            other => return Err(format!("range can't iterate over a {}", other.kind())),
        };
        let mut flow = Flow::On;
        if items.is_empty() {
            flow = self.list(&branch.otherwise, dot)?;
        }
        for (key, item) in items {
            self.step()?;
            self.declare(&branch.pipe, key, &item);
            let ended = self.list(&branch.then, &item)?;
            if !branch.pipe.is_assignment {
                self.variables.truncate(scope);
            }
            if ended == Flow::Break {
                break;
            }
        }
        self.variables.truncate(scope);
        Ok(flow)
    }

    /// The variables of one turn of a `range`.
    fn declare(&mut self, pipe: &'t Pipe, key: Value, item: &Value) {
        match pipe.variables.as_slice() {
            [one] => self.set(one, item.clone(), pipe.is_assignment),
            [first, second] => {
                self.set(first, key, pipe.is_assignment);
                self.set(second, item.clone(), pipe.is_assignment);
            }
            _ => {}
        }
    }

    fn set(&mut self, name: &'t str, value: Value, is_assignment: bool) {
        let known = self.variables.iter_mut().rev().find(|(known, _)| *known == name);
        match known {
            Some((_, known)) if is_assignment => *known = value,
            _ => self.variables.push((name, value)),
        }
    }

    fn template(&mut self, name: &str, pipe: Option<&'t Pipe>, dot: &Value) -> Ran<()> {
        let template = self.template;
        let list = template.defined.get(name).ok_or_else(|| format!("there is no template `{name}`"))?;
        let dot = match pipe {
            Some(pipe) => self.pipe(pipe, dot)?,
            None => Value::Nil,
        };
        let outer = std::mem::replace(&mut self.variables, vec![("$", dot.clone())]);
        let ran = self.list(list, &dot);
        self.variables = outer;
        ran.map(drop)
    }

    /// The value of a pipeline, which is also set to its variable.
    fn pipe(&mut self, pipe: &'t Pipe, dot: &Value) -> Ran<Value> {
        let value = self.value_of(pipe, dot)?;
        for name in &pipe.variables {
            self.set(name, value.clone(), pipe.is_assignment);
        }
        Ok(value)
    }

    fn value_of(&mut self, pipe: &'t Pipe, dot: &Value) -> Ran<Value> {
        let mut last = None;
        for command in &pipe.commands {
            last = Some(self.command(command, dot, last)?);
        }
        Ok(last.unwrap_or(Value::Nil))
    }

    fn command(&mut self, command: &'t Command, dot: &Value, last: Option<Value>) -> Ran<Value> {
        self.step()?;
        let [first, words @ ..] = command.words.as_slice() else { return Ok(Value::Nil) };
        match first {
            Operand::Function(name) => self.call(name, words, dot, last),
            Operand::Nil => Err("nil is not a command".to_owned()),
            _ if !words.is_empty() || last.is_some() => {
                Err("this value is no function and takes no arguments".to_owned())
            }
            operand => self.operand(operand, dot),
        }
    }

    fn call(&mut self, name: &str, words: &'t [Operand], dot: &Value, last: Option<Value>) -> Ran<Value> {
        let mut args = Vec::with_capacity(words.len() + 1);
        if matches!(name, "and" | "or") {
            for word in words {
                let value = self.operand(word, dot)?;
                if value.is_true() == (name == "or") {
                    return Ok(value);
                }
                args.push(value);
            }
            args.extend(last);
            return args.pop().ok_or_else(|| builtin::wrong_number(name, 0, "at least 1"));
        }
        for word in words {
            args.push(self.operand(word, dot)?);
        }
        args.extend(last);
        let called = match builtin::call(name, &args) {
            Some(result) => result,
            None => functions::call(name, &args, &mut self.context),
        };
        called.map_err(|error| format!("error calling {name}: {error}"))
    }

    fn operand(&mut self, operand: &'t Operand, dot: &Value) -> Ran<Value> {
        let follow =
            |value: Value, fields: &[String]| fields.iter().try_fold(value, |value, name| value.field(name));
        match operand {
            Operand::Dot => Ok(dot.clone()),
            Operand::Nil => Ok(Value::Nil),
            Operand::Bool(value) => Ok(Value::Bool(*value)),
            Operand::Int(value) => Ok(Value::Int(*value)),
            Operand::Float(value) => Ok(Value::Float(*value)),
            Operand::Text(text) => Ok(Value::text(text.as_str())),
            Operand::Field(fields) => follow(dot.clone(), fields),
            Operand::Variable(name, fields) => {
                let known = self.variables.iter().rev().find(|(known, _)| known == name);
                let value = known.map(|(_, value)| value.clone());
                follow(value.ok_or_else(|| format!("there is no variable `{name}`"))?, fields)
            }
            Operand::Function(name) => self.call(name, &[], dot, None),
            Operand::Inner(pipe, fields) => {
                let value = self.value_of(pipe, dot)?;
                follow(value, fields)
            }
        }
    }
}
