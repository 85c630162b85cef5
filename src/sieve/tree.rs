//! Commands and tests as they are written, before anybody asks what they mean (RFC 5228 8.2).

use crate::limits::Limits;
use crate::sieve::Mistake;
use crate::sieve::lexer::{Kind, Token};

/// A command or a test: a name, arguments, tests, and a block.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) arguments: Vec<Argument>,
    pub(super) tests: Tests,
    /// The commands between braces; no block where it ends with a semicolon.
    pub(super) block: Option<Vec<Node>>,
}

/// The tests behind the arguments.
#[derive(Debug, Clone)]
pub(super) enum Tests {
    None,
    One(Box<Node>),
    List(Vec<Node>),
}

/// One argument, and its line.
#[derive(Debug, Clone)]
pub(super) struct Argument {
    pub(super) line: usize,
    pub(super) value: Value,
}

/// What an argument is.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Tag(String),
    Number(u64),
    Text(String),
    List(Vec<String>),
}

/// Reads all commands.
///
/// ```text
/// commands     = *command
/// command      = identifier arguments (";" / block)
/// arguments    = *argument [ test / test-list ]
/// test         = identifier arguments
/// test-list    = "(" test *("," test) ")"
/// argument     = string-list / number / tag
/// string-list  = "[" string *("," string) "]" / string
/// ```
pub(super) fn parse(tokens: Vec<Token>, limits: &Limits) -> Result<Vec<Node>, Mistake> {
    let mut parser = Parser { tokens: tokens.into_iter().peekable(), last: 1, depth: limits.sieve_nesting };
    let commands = parser.commands(0)?;
    match parser.next() {
        None => Ok(commands),
        Some(token) => Err(Mistake { line: token.line, text: format!("{} closes nothing – take it away", token.kind.shown()) }),
    }
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    /// The line of the last word.
    last: usize,
    depth: usize,
}

impl Parser {
    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.next()?;
        self.last = token.line;
        Some(token)
    }

    fn peek(&mut self) -> Option<&Kind> {
        self.tokens.peek().map(|token| &token.kind)
    }

    fn take_sign(&mut self, sign: char) -> bool {
        let is_next = self.peek() == Some(&Kind::Sign(sign));
        if is_next {
            self.next();
        }
        is_next
    }

    /// Something else stands where `wanted` should.
    fn unexpected(&mut self, wanted: &str) -> Mistake {
        let last = self.last;
        match self.tokens.peek() {
            Some(token) => Mistake { line: token.line, text: format!("{wanted}, and {} stands there", token.kind.shown()) },
            None => Mistake { line: last, text: format!("{wanted}, and the script ends there") },
        }
    }

    fn nested(&self, depth: usize) -> Result<usize, Mistake> {
        if depth >= self.depth {
            let text = format!("blocks and tests stand in one another more than {} times – split the script", self.depth);
            return Err(Mistake { line: self.last, text });
        }
        Ok(depth.saturating_add(1))
    }

    fn commands(&mut self, depth: usize) -> Result<Vec<Node>, Mistake> {
        let mut commands = Vec::new();
        loop {
            match self.peek() {
                None | Some(Kind::Sign('}')) => return Ok(commands),
                Some(Kind::Identifier(_)) => commands.push(self.command(depth)?),
                Some(_) => return Err(self.unexpected("a command begins with its name")),
            }
        }
    }

    fn command(&mut self, depth: usize) -> Result<Node, Mistake> {
        let mut node = self.named(depth)?;
        if self.take_sign(';') {
            return Ok(node);
        }
        let begin = self.last;
        if !self.take_sign('{') {
            return Err(self.unexpected(&format!("`{}` ends with `;` or with a block in braces", node.name)));
        }
        let inner = self.nested(depth)?;
        let block = self.commands(inner)?;
        if !self.take_sign('}') {
            return Err(Mistake { line: begin, text: "the block that begins here has no end – close it with `}`".to_owned() });
        }
        node.block = Some(block);
        Ok(node)
    }

    /// A name with its arguments and tests.
    fn named(&mut self, depth: usize) -> Result<Node, Mistake> {
        let wanted = "the name of a test belongs here";
        let (line, name) = match self.peek() {
            Some(Kind::Identifier(_)) => match self.next() {
                Some(Token { line, kind: Kind::Identifier(name) }) => (line, name),
                _ => return Err(self.unexpected(wanted)),
            },
            _ => return Err(self.unexpected(wanted)),
        };
        let mut arguments = Vec::new();
        while let Some(value) = self.argument()? {
            arguments.push(Argument { line: self.last, value });
        }
        let tests = match self.peek() {
            Some(Kind::Identifier(_)) => {
                let inner = self.nested(depth)?;
                Tests::One(Box::new(self.named(inner)?))
            }
            Some(Kind::Sign('(')) => {
                self.next();
                let inner = self.nested(depth)?;
                let mut tests = vec![self.named(inner)?];
                while self.take_sign(',') {
                    tests.push(self.named(inner)?);
                }
                if !self.take_sign(')') {
                    return Err(self.unexpected("a list of tests goes on with `,` or ends with `)`"));
                }
                Tests::List(tests)
            }
            _ => Tests::None,
        };
        Ok(Node { line, name, arguments, tests, block: None })
    }

    fn argument(&mut self) -> Result<Option<Value>, Mistake> {
        match self.peek() {
            Some(Kind::Tag(_) | Kind::Number(_) | Kind::Text(_)) => Ok(match self.next().map(|token| token.kind) {
                Some(Kind::Tag(name)) => Some(Value::Tag(name)),
                Some(Kind::Number(number)) => Some(Value::Number(number)),
                Some(Kind::Text(text)) => Some(Value::Text(text)),
                _ => None,
            }),
            Some(Kind::Sign('[')) => {
                self.next();
                self.list().map(|list| Some(Value::List(list)))
            }
            _ => Ok(None),
        }
    }

    fn list(&mut self) -> Result<Vec<String>, Mistake> {
        let mut list = Vec::new();
        loop {
            match self.peek() {
                Some(Kind::Text(_)) => {
                    if let Some(Token { kind: Kind::Text(text), .. }) = self.next() {
                        list.push(text);
                    }
                }
                _ => return Err(self.unexpected("a list holds strings in double quotes, with commas between them")),
            }
            if self.take_sign(']') {
                return Ok(list);
            }
            if !self.take_sign(',') {
                return Err(self.unexpected("a list goes on with `,` or ends with `]`"));
            }
        }
    }
}
