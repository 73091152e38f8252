//! From words to a tree. Functions and variables that do not exist are found here.

use std::collections::BTreeMap;

use super::lex::{Lexed, Token, error, lex};
use super::syntax::{Branch, Command, List, Node, Operand, Pipe, Tree};
use super::{ParseError, builtin, functions};

/// How deep actions and parentheses may lie in each other: reading and running recur with them, and a guest's
/// stack is small. Templates of the public rule collections need four.
const MAX_DEPTH: usize = 24;
/// Variables that a rule's templates have from the start.
pub(super) const GIVEN: [&str; 5] = ["$", "$labels", "$externalLabels", "$externalURL", "$value"];

pub(super) fn parse(source: &str) -> Result<Tree, ParseError> {
    let tokens = lex(source)?;
    let variables = GIVEN.map(str::to_owned).to_vec();
    let mut parser =
        Parser { source, tokens, next: 0, variables, defined: BTreeMap::new(), depth: 0, loops: 0 };
    let (main, end) = parser.list()?;
    match end {
        End::Source => Ok(Tree { main, defined: parser.defined }),
        _ => Err(parser.wrong("`{{end}}` or `{{else}}` without an action that it belongs to")),
    }
}

struct Parser<'a> {
    source: &'a str,
    tokens: Vec<Lexed>,
    next: usize,
    variables: Vec<String>,
    defined: BTreeMap<String, List>,
    depth: usize,
    loops: usize,
}

/// What ended a list of nodes.
#[derive(Debug, PartialEq)]
enum End {
    Source,
    /// `{{end}}`
    Closed,
    /// With the word behind it (`if`, `with`), which is not consumed.
    Else,
}

type Parsed<T> = Result<T, ParseError>;

impl Parser<'_> {
    fn list(&mut self) -> Parsed<(List, End)> {
        let mut list = List::new();
        while let Some(token) = self.take() {
            match token {
                Token::Text(text) => list.push(Node::Text(text)),
                Token::Open => match self.peek_word() {
                    Some("end") => {
                        self.next += 1;
                        self.close()?;
                        return Ok((list, End::Closed));
                    }
                    Some("else") => {
                        self.next += 1;
                        return Ok((list, End::Else));
                    }
                    _ => list.extend(self.action()?),
                },
                _ => return Err(self.wrong("the action is not closed")),
            }
        }
        Ok((list, End::Source))
    }

    fn action(&mut self) -> Parsed<Option<Node>> {
        let keyword = self.peek_word().unwrap_or_default().to_owned();
        let known = ["if", "with", "range", "template", "block", "define", "break", "continue"];
        if !known.contains(&keyword.as_str()) {
            let pipe = self.pipe(1)?;
            self.close()?;
            return Ok(Some(Node::Action(pipe)));
        }
        self.next += 1;
        self.deeper()?;
        let node = match keyword.as_str() {
            "if" => Some(Node::If(self.branch(&keyword)?)),
            "with" => Some(Node::With(self.branch(&keyword)?)),
            "range" => Some(Node::Range(self.branch(&keyword)?)),
            "define" => {
                self.define()?;
                None
            }
            "template" | "block" => Some(self.template(keyword == "block")?),
            _ if self.loops == 0 => {
                return Err(self.wrong(format!("`{{{{{keyword}}}}}` outside of a `range`")));
            }
            _ => {
                self.close()?;
                Some(if keyword == "break" { Node::Break } else { Node::Continue })
            }
        };
        self.depth -= 1;
        Ok(node)
    }

    fn deeper(&mut self) -> Parsed<()> {
        self.depth += 1;
        match self.depth > MAX_DEPTH {
            true => Err(self.wrong(format!("more than {MAX_DEPTH} actions or parentheses in each other"))),
            false => Ok(()),
        }
    }

    /// `if`, `with` and `range` behind their keyword, up to their `end`.
    fn branch(&mut self, keyword: &str) -> Parsed<Branch> {
        let scope = self.variables.len();
        let is_range = keyword == "range";
        let pipe = self.pipe(if is_range { 2 } else { 1 })?;
        self.close()?;
        self.loops += usize::from(is_range);
        let (then, end) = self.list()?;
        self.loops -= usize::from(is_range);
        let otherwise = match end {
            End::Closed => List::new(),
            End::Else => self.otherwise(keyword)?,
            End::Source => return Err(self.wrong(format!("`{{{{{keyword}}}}}` has no `{{{{end}}}}`"))),
        };
        self.variables.truncate(scope);
        Ok(Branch { pipe, then, otherwise })
    }

    /// Behind `else`: another `if` or `with` that ends with this one, or a list of its own.
    fn otherwise(&mut self, keyword: &str) -> Parsed<List> {
        let chained =
            self.peek_word().filter(|word| *word == keyword && keyword != "range").map(str::to_owned);
        if let Some(word) = chained {
            self.next += 1;
            self.deeper()?;
            let branch = self.branch(&word)?;
            self.depth -= 1;
            return Ok(vec![if word == "if" { Node::If(branch) } else { Node::With(branch) }]);
        }
        self.close()?;
        match self.list()? {
            (list, End::Closed) => Ok(list),
            (_, End::Else) => Err(self.wrong("a second `{{else}}`")),
            (_, End::Source) => Err(self.wrong("`{{else}}` has no `{{end}}`")),
        }
    }

    fn define(&mut self) -> Parsed<()> {
        let name = self.name()?;
        if self.depth > 1 {
            return Err(self.wrong("`{{define}}` inside of another action"));
        }
        self.close()?;
        self.body(name)
    }

    /// What a name stands for; only `$` is known in it.
    fn body(&mut self, name: String) -> Parsed<()> {
        let outer = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let loops = std::mem::take(&mut self.loops);
        let (list, end) = self.list()?;
        (self.variables, self.loops) = (outer, loops);
        if end != End::Closed {
            return Err(self.wrong(format!("the template `{name}` has no `{{{{end}}}}`")));
        }
        self.defined.insert(name, list);
        Ok(())
    }

    fn template(&mut self, is_block: bool) -> Parsed<Node> {
        let name = self.name()?;
        let is_alone = matches!(self.peek(), Some(Token::Close));
        let pipe = if is_alone { None } else { Some(self.pipe(1)?) };
        self.close()?;
        if is_block {
            self.body(name.clone())?;
        }
        Ok(Node::Template(name, pipe))
    }

    fn name(&mut self) -> Parsed<String> {
        match self.take() {
            Some(Token::Quoted(name)) => Ok(name),
            _ => Err(self.wrong("a template's name is a text in quotes")),
        }
    }

    /// A pipeline that may declare variables. It ends before `}}` or `)`.
    fn pipe(&mut self, most_variables: usize) -> Parsed<Pipe> {
        let (variables, is_assignment) = self.declaration(most_variables)?;
        let mut commands = vec![self.command()?];
        while matches!(self.peek(), Some(Token::Pipe)) {
            self.next += 1;
            let command = self.command()?;
            if !matches!(command.words[0], Operand::Function(_) | Operand::Field(_) | Operand::Variable(..)) {
                return Err(self.wrong("behind `|` stands a function"));
            }
            commands.push(command);
        }
        if !is_assignment {
            self.variables.extend(variables.iter().cloned());
        }
        Ok(Pipe { variables, is_assignment, commands })
    }

    /// `$x :=`, `$x =`, and in a `range` `$i, $x :=`.
    fn declaration(&mut self, most: usize) -> Parsed<(Vec<String>, bool)> {
        let mut names = Vec::new();
        let mut at = self.next;
        while let Some(Lexed { token: Token::Variable(name), .. }) = self.tokens.get(at) {
            names.push(name.clone());
            let sign = self.tokens.get(at + 1).map(|lexed| lexed.token.clone());
            match sign {
                Some(Token::Comma) if names.len() < most => at += 2,
                Some(sign @ (Token::Declare | Token::Assign)) => {
                    self.next = at + 2;
                    let is_assignment = sign == Token::Assign;
                    let unknown = names.iter().find(|name| !self.variables.contains(name));
                    return match unknown {
                        Some(name) if is_assignment => {
                            Err(self.wrong(format!("there is no variable `{name}`")))
                        }
                        _ => Ok((names, is_assignment)),
                    };
                }
                _ => break,
            }
        }
        Ok((Vec::new(), false))
    }

    fn command(&mut self) -> Parsed<Command> {
        let mut words: Vec<Operand> = Vec::new();
        while let Some(lexed) = self.tokens.get(self.next) {
            if matches!(lexed.token, Token::Close | Token::Right | Token::Pipe) {
                break;
            }
            if !words.is_empty() && !lexed.spaced {
                return Err(self.wrong("there is a blank missing between two arguments"));
            }
            words.push(self.operand()?);
        }
        // Whether the first word takes arguments is known only when it runs.
        match words.is_empty() {
            true => Err(self.wrong("a value is missing")),
            false => Ok(Command { words }),
        }
    }

    fn operand(&mut self) -> Parsed<Operand> {
        let at = self.next;
        let operand = match self.take() {
            Some(Token::Dot) => Operand::Dot,
            Some(Token::Int(number)) => Operand::Int(number),
            Some(Token::Float(number)) => Operand::Float(number),
            Some(Token::Quoted(text)) => Operand::Text(text),
            Some(Token::Field(name)) => Operand::Field(self.fields(vec![name])),
            Some(Token::Variable(name)) => {
                if !self.variables.contains(&name) {
                    self.next = at;
                    return Err(self.wrong(format!("there is no variable `{name}`")));
                }
                Operand::Variable(name, self.fields(Vec::new()))
            }
            Some(Token::Word(name)) => match name.as_str() {
                "true" => Operand::Bool(true),
                "false" => Operand::Bool(false),
                "nil" => Operand::Nil,
                name if builtin::NAMES.contains(&name) || functions::NAMES.contains(&name) => {
                    Operand::Function(name.to_owned())
                }
                name => {
                    self.next = at;
                    return Err(self.wrong(format!("there is no function `{name}`")));
                }
            },
            Some(Token::Left) => {
                self.deeper()?;
                let pipe = self.pipe(1)?;
                self.depth -= 1;
                if self.take() != Some(Token::Right) {
                    return Err(self.wrong("`)` is missing"));
                }
                Operand::Inner(Box::new(pipe), self.fields(Vec::new()))
            }
            _ => {
                self.next = at;
                return Err(self.wrong("this has no place in an action"));
            }
        };
        Ok(operand)
    }

    /// Fields that follow without a blank.
    fn fields(&mut self, mut fields: Vec<String>) -> Vec<String> {
        while let Some(Lexed { token: Token::Field(name), spaced: false, .. }) = self.tokens.get(self.next) {
            fields.push(name.clone());
            self.next += 1;
        }
        fields
    }

    fn close(&mut self) -> Parsed<()> {
        match self.peek() {
            Some(Token::Close) => {
                self.next += 1;
                Ok(())
            }
            _ => Err(self.wrong("`}}` is missing here")),
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|lexed| &lexed.token)
    }

    fn peek_word(&self) -> Option<&str> {
        match self.peek() {
            Some(Token::Word(word)) => Some(word),
            _ => None,
        }
    }

    fn take(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.next += 1;
        token
    }

    fn wrong(&self, message: impl Into<String>) -> ParseError {
        let at = self.tokens.get(self.next).map_or(self.source.len(), |lexed| lexed.at);
        error(self.source, at, message)
    }
}
