//! [`diff`]: why two requests have two keys.

use std::cmp::Ordering;

use crate::number::Decimal;
use crate::options::{Equivalence, KeyOptions};
use crate::pointer;
use crate::request::Request;
use crate::rules::{Place, Rules};
use crate::tape::{Node, Tape};

/// A place at which two requests differ, as far as their keys do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The JSON Pointer (RFC 6901) of the place; it is the same in both requests, or it exists in
    /// one.
    pub pointer: String,
    /// What differs there.
    pub change: Change,
}

/// How two requests differ at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Change {
    /// Only the first has something there that counts.
    Removed,
    /// Only the second has something there that counts.
    Added,
    /// Both have a value, not the same one.
    Changed,
    /// The members of the object are in another order: only without
    /// [`Equivalence::MemberOrder`].
    Reordered,
}

/// Where two requests differ; nothing if and only if they have equal keys in any one scope with
/// these options.
///
/// ```
/// use cache_key::{Change, EndpointKind, KeyOptions, Request, diff};
///
/// let parse = |body| Request::parse(EndpointKind::ChatCompletions, body);
/// let one = parse(br#"{"model":"m","n":1,"messages":[{"role":"user","content":"hi"}]}"#)?;
/// let two = parse(br#"{"model":"m","stream":true,"messages":[{"role":"user","content":"ho"}]}"#)?;
///
/// let found = diff(&one, &two, &KeyOptions::new());
/// let found: Vec<_> = found.iter().map(|d| (d.pointer.as_str(), d.change)).collect();
/// assert_eq!(found, [("/messages/0/content", Change::Changed), ("/n", Change::Removed)]);
/// # Ok::<(), cache_key::NotCanonical>(())
/// ```
///
/// Requests of two kinds differ as a whole.
pub fn diff(a: &Request<'_>, b: &Request<'_>, options: &KeyOptions) -> Vec<Difference> {
    if a.kind() != b.kind() {
        return vec![Difference { pointer: String::new(), change: Change::Changed }];
    }
    let rules = Rules::new(a.kind(), options);
    let mut walk = Walk {
        a: a.tape(),
        b: b.tape(),
        rules,
        steps: Vec::new(),
        left: Vec::new(),
        found: Vec::new(),
    };
    walk.run();
    walk.found
}

/// The two requests side by side. No recursion, and no pointer is written unless it is found.
struct Walk<'r> {
    a: &'r Tape<'r>,
    b: &'r Tape<'r>,
    rules: Rules<'r>,
    /// How to get anywhere: from which step on, and by which token.
    steps: Vec<(Option<usize>, Token<'r>)>,
    left: Vec<Task>,
    found: Vec<Difference>,
}

#[derive(Clone, Copy)]
enum Token<'r> {
    Name(&'r str),
    Index(usize),
}

/// What is to be done next.
enum Task {
    Compare(Pair),
    /// To be told in its turn, so that differences come in the order of names and items.
    Note(Option<usize>, Change),
}

/// Two values to be compared.
#[derive(Clone, Copy)]
struct Pair {
    nodes: (u32, u32),
    step: Option<usize>,
    at: Where,
}

/// What is known of the place of a value.
#[derive(Clone, Copy, PartialEq)]
enum Where {
    /// If it is an object, its members are under the rules of this place.
    Ruled(Place),
    /// It is the array of messages.
    Messages,
    Anywhere,
}

impl<'r> Walk<'r> {
    fn run(&mut self) {
        let body = Pair { nodes: (0, 0), step: None, at: Where::Ruled(Place::Body) };
        self.left.push(Task::Compare(body));
        while let Some(task) = self.left.pop() {
            let pair = match task {
                Task::Compare(pair) => pair,
                Task::Note(step, change) => {
                    self.note(step, change);
                    continue;
                }
            };
            let from = self.left.len();
            match (self.a.node(pair.nodes.0), self.b.node(pair.nodes.1)) {
                (Node::Object { .. }, Node::Object { .. }) => self.objects(pair),
                (Node::Array { .. }, Node::Array { .. }) => self.arrays(pair),
                _ if self.same_scalar(pair.nodes) => {}
                _ => self.note(pair.step, Change::Changed),
            }
            self.left[from..].reverse(); // what stands first is looked at first
        }
    }

    fn same_scalar(&self, (a, b): (u32, u32)) -> bool {
        match (self.a.node(a), self.b.node(b)) {
            (Node::Null, Node::Null) | (Node::True, Node::True) | (Node::False, Node::False) => {
                true
            }
            (Node::Number { .. }, Node::Number { .. }) => {
                let literals = (self.a.literal(a), self.b.literal(b));
                if self.rules.hold(Equivalence::NumberSpelling) {
                    literals.0.and_then(Decimal::of).is_some_and(|one| {
                        literals.1.and_then(Decimal::of).is_some_and(|two| one.same_value(&two))
                    })
                } else {
                    literals.0 == literals.1
                }
            }
            _ => self.a.is_string(a) && self.b.is_string(b) && self.a.bytes(a) == self.b.bytes(b),
        }
    }

    fn arrays(&mut self, pair: Pair) {
        let at = match pair.at {
            Where::Messages => Where::Ruled(Place::Message),
            _ => Where::Anywhere,
        };
        let (mut a, mut b) = (self.a.items(pair.nodes.0), self.b.items(pair.nodes.1));
        for index in 0.. {
            let (a, b) = (a.next(), b.next());
            if a.is_none() && b.is_none() {
                return;
            }
            let step = Some(self.step(pair.step, Token::Index(index)));
            match (a, b) {
                (Some(a), Some(b)) => {
                    self.left.push(Task::Compare(Pair { nodes: (a, b), step, at }));
                }
                (Some(_), None) => self.left.push(Task::Note(step, Change::Removed)),
                _ => self.left.push(Task::Note(step, Change::Added)),
            }
        }
    }

    fn objects(&mut self, pair: Pair) {
        let a = self.counting(self.a, pair.nodes.0, pair.at);
        let b = self.counting(self.b, pair.nodes.1, pair.at);
        let name =
            |member: Option<&u32>, tape: &'r Tape<'r>| member.map(|&member| tape.name(member));
        let (mut i, mut j) = (0, 0);
        let mut common = Vec::new();
        loop {
            let names = (name(a.get(i), self.a), name(b.get(j), self.b));
            let (order, token) = match names {
                (None, None) => break,
                (Some(a), Some(b)) => (a.cmp(b), a.min(b)),
                (Some(a), None) => (Ordering::Less, a),
                (None, Some(b)) => (Ordering::Greater, b),
            };
            let step = Some(self.step(pair.step, Token::Name(token)));
            match order {
                Ordering::Less => self.left.push(Task::Note(step, Change::Removed)),
                Ordering::Greater => self.left.push(Task::Note(step, Change::Added)),
                Ordering::Equal => {
                    common.push((a[i], b[j]));
                    self.values((a[i], b[j]), step, pair.at);
                }
            }
            i += usize::from(order.is_le());
            j += usize::from(order.is_ge());
        }
        if !self.rules.hold(Equivalence::MemberOrder) {
            common.sort_unstable_by_key(|&(a, _)| a);
            if !common.is_sorted_by_key(|&(_, b)| b) {
                self.left.push(Task::Note(pair.step, Change::Reordered));
            }
        }
    }

    /// The values of two members of one name are to be compared.
    fn values(&mut self, (a, b): (u32, u32), step: Option<usize>, parent: Where) {
        let (nodes, at) = match parent {
            Where::Ruled(Place::Body) => {
                let below = self.rules.place_below(self.a, a);
                let same = below == self.rules.place_below(self.b, b);
                let at = match below.filter(|_| same) {
                    Some(Place::Message) => Where::Messages,
                    Some(place) => Where::Ruled(place),
                    None => Where::Anywhere,
                };
                ((a + 1, b + 1), at)
            }
            Where::Ruled(Place::Message) => {
                let stands_for = |tape, member| self.rules.stands_for(tape, member);
                ((stands_for(self.a, a), stands_for(self.b, b)), Where::Anywhere)
            }
            _ => ((a + 1, b + 1), Where::Anywhere),
        };
        self.left.push(Task::Compare(Pair { nodes, step, at }));
    }

    /// The members that count, sorted by name.
    fn counting(&self, tape: &Tape<'_>, object: u32, at: Where) -> Vec<u32> {
        let members = tape.members(object).iter().copied();
        match at {
            Where::Ruled(place) => members
                .filter(|&member| {
                    self.rules
                        .at(place)
                        .leave_out(tape.bytes(member), tape.node(member + 1))
                        .is_none()
                })
                .collect(),
            _ => members.collect(),
        }
    }

    fn step(&mut self, from: Option<usize>, token: Token<'r>) -> usize {
        self.steps.push((from, token));
        self.steps.len() - 1
    }

    fn note(&mut self, mut step: Option<usize>, change: Change) {
        let mut tokens = Vec::new();
        while let Some(at) = step {
            tokens.push(self.steps[at].1);
            step = self.steps[at].0;
        }
        let mut pointer = String::new();
        for token in tokens.into_iter().rev() {
            match token {
                Token::Name(name) => pointer::push(&mut pointer, name),
                Token::Index(index) => pointer::push(&mut pointer, &index.to_string()),
            }
        }
        self.found.push(Difference { pointer, change });
    }
}
