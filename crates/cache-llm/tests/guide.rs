//! The pages of `docs/guide/llm`: the calls that they count are those that their programs assert, and they
//! have one provider. The programs themselves are run with the tests of the documentation.

use std::fs;
use std::path::Path;

const PAGES: [&str; 9] = [
    "01-first-hit.md",
    "02-typed-calls.md",
    "03-streams.md",
    "04-what-may-be-cached.md",
    "05-tenants-and-invalidation.md",
    "06-embeddings.md",
    "07-money.md",
    "08-cassettes.md",
    "09-with-redis.md",
];

fn read(name: &str) -> String {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/llm");
    fs::read_to_string(guide.join(name)).expect("a page of the guide")
}

/// The number that `text` begins with.
fn number(text: &str) -> Option<u32> {
    let digits = text.len() - text.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    text[..digits].parse().ok()
}

/// What a page says of calls below its program is what the program asserts at its end.
#[test]
fn pages_count_as_their_programs() {
    for name in PAGES {
        let page = read(name);
        let (program, prose) = page.rsplit_once("```").expect("a program");
        let (_, asserted) = program.rsplit_once("provider.calls(), ").expect("an assertion");
        let (_, told) = prose.split_once("**").expect("a count");
        assert_eq!(number(told), number(asserted), "{name}");
        assert!(number(told).is_some() && told.contains(" calls**"), "{name}");
    }
}

/// The provider is the same on every page, so whoever has read one has read all.
#[test]
fn one_provider_on_every_page() {
    let provider = |name| {
        let page = read(name);
        let from = page.find("// The provider, the same on every page.").expect("a provider");
        let to = from + page[from..].find("```").expect("the end of the program");
        page[from..to].to_owned()
    };
    let first = provider(PAGES[0]);
    for name in PAGES {
        assert_eq!(provider(name), first, "{name}");
    }
}

/// Each page is in the table of the index and is run, and leads to the next.
#[test]
fn no_page_is_left_out() {
    let (index, run) = (read("README.md"), include_str!("../src/guide.rs"));
    for (place, name) in PAGES.into_iter().enumerate() {
        assert!(index.contains(&format!("]({name}) |")), "{name}");
        assert!(run.contains(&format!("docs/guide/llm/{name}\"")), "{name}");
        let next = PAGES.get(place + 1);
        assert!(next.is_none_or(|next| read(name).contains(&format!("]({next}).\n"))), "{name}");
    }
    let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/llm"));
    assert_eq!(files.expect("the guide").count(), PAGES.len() + 1, "pages and the index");
}
