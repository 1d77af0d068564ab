//! `cargo xtask key`: why a request has the key that it has.

use std::fmt::{self, Write};
use std::fs;
use std::path::{Path, PathBuf};

use cache_key::{Change, EndpointKind, KeyOptions, Request, Rule, diff};

use crate::failure::{Failure, Outcome};

/// Say what the cache key of a request is made of, or why two requests have two keys.
#[derive(clap::Args)]
pub(crate) struct Key {
    #[command(subcommand)]
    question: Question,
}

#[derive(clap::Subcommand)]
enum Question {
    /// The members of a request that count, and those that do not, with the rule.
    Explain {
        /// A file with the JSON body of a request.
        file: PathBuf,
        #[command(flatten)]
        rules: Rules,
    },
    /// Where two requests differ, as JSON Pointers; "equal" if they have one key.
    Diff {
        /// A file with the JSON body of a request.
        first: PathBuf,
        /// Another one.
        second: PathBuf,
        #[command(flatten)]
        rules: Rules,
    },
}

#[derive(clap::Args)]
struct Rules {
    /// Whose rules apply: chat.completions, completions, responses, messages, embeddings, rerank or
    /// generic.
    #[arg(long, default_value = "chat.completions")]
    kind: EndpointKind,
    /// One more member of the body to leave out. Repeatable.
    #[arg(long, value_name = "MEMBER")]
    leave_out: Vec<String>,
}

impl Rules {
    fn options(&self) -> KeyOptions {
        let names = self.leave_out.iter();
        names.fold(KeyOptions::new(), |options, name| options.leave_out(self.kind, name))
    }

    fn parse<'b>(&self, file: &Path, body: &'b [u8]) -> Result<Request<'b>, Failure> {
        Request::parse(self.kind, body).map_err(|reason| {
            Failure::new(
                format!("{} has no key: {reason}", file.display()),
                "such a request is passed on and never cached; correct the body to have it cached",
            )
        })
    }
}

impl Key {
    pub(crate) fn run(self) -> Outcome {
        let text = match self.question {
            Question::Explain { file, rules } => {
                explained(&rules.parse(&file, &read(&file)?)?, &rules)
            }
            Question::Diff { first, second, rules } => {
                let (a, b) = (read(&first)?, read(&second)?);
                compared(&rules.parse(&first, &a)?, &rules.parse(&second, &b)?, &rules)
            }
        };
        print!("{text}");
        Ok(())
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(file).map_err(|error| {
        Failure::new(
            format!("{} cannot be read: {error}", file.display()),
            "name a file that holds the JSON body of a request",
        )
    })
}

fn explained(request: &Request<'_>, rules: &Rules) -> String {
    let explanation = request.explain(&rules.options());
    let mut text = format!("{}: these members are in the key\n", explanation.kind);
    let mut line = |cells: fmt::Arguments<'_>| {
        writeln!(text, "{cells}").expect("a string takes everything");
    };
    for entered in &explanation.entered {
        let (digest, section) = (short(&entered.digest), entered.section);
        line(format_args!("  {digest}  {section:<10}  {}", entered.pointer));
    }
    line(format_args!(
        "{}",
        if explanation.left_out.is_empty() { "nothing is left out" } else { "left out" }
    ));
    for left_out in &explanation.left_out {
        let rule = match left_out.rule {
            Rule::Equivalence(equivalence) => format!("{equivalence:?}"),
            _ => "--leave-out".to_owned(),
        };
        line(format_args!("  {rule:<16}  {}", left_out.pointer));
    }
    if !explanation.rewritten.is_empty() {
        line(format_args!("written as another value that means the same"));
    }
    for rewritten in &explanation.rewritten {
        let equivalence = format!("{:?}", rewritten.equivalence);
        line(format_args!("  {equivalence:<16}  {}", rewritten.pointer));
    }
    line(format_args!("digests by section"));
    for (section, digest) in &explanation.sections {
        line(format_args!("  {}  {section}", short(digest)));
    }
    text
}

fn compared(a: &Request<'_>, b: &Request<'_>, rules: &Rules) -> String {
    let found = diff(a, b, &rules.options());
    if found.is_empty() {
        return "equal\n".to_owned();
    }
    let lines = found.iter().map(|difference| {
        let change = match difference.change {
            Change::Removed => "only in the first",
            Change::Added => "only in the second",
            Change::Reordered => "reordered",
            _ => "differs",
        };
        format!("{change:<18}  {}", difference.pointer)
    });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

fn short(digest: &[u8; 32]) -> String {
    digest[..8].iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(leave_out: &[&str]) -> Rules {
        let leave_out = leave_out.iter().map(|&name| name.to_owned()).collect();
        Rules { kind: EndpointKind::ChatCompletions, leave_out }
    }

    fn parse(body: &str) -> Request<'_> {
        Request::parse(EndpointKind::ChatCompletions, body.as_bytes()).expect("a valid body")
    }

    #[test]
    fn a_difference_is_named_and_none_is_said_to_be_equal() {
        let (a, b) =
            (parse(r#"{"model":"m","n":1,"user":"a"}"#), parse(r#"{"model":"M","user":"b"}"#));
        assert_eq!(
            compared(&a, &b, &rules(&["user"])),
            "differs             /model\nonly in the first   /n\n"
        );
        assert_eq!(compared(&a, &a, &rules(&[])), "equal\n");
    }

    #[test]
    fn an_explanation_names_members_and_rules() {
        let text =
            explained(&parse(r#"{"model":"m","stream":true,"user":"a"}"#), &rules(&["user"]));
        for line in ["model       /model", "Stream            /stream", "--leave-out       /user"] {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn a_body_without_a_key_says_why() {
        let failure = rules(&[]).parse(Path::new("a.json"), b"{\"a\":1,\"a\":2}").err();
        let shown = failure.expect("two members of one name").to_string();
        assert!(shown.contains("a.json") && shown.contains("byte 8"), "{shown}");
    }
}
