//! Traces in files: `.lis` (plain or `.zst`) and the `.jsonl` of Mooncake.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use serde::Deserialize;

use super::{Kind, Trace};

/// Capacities that have been used with well-known traces, by how their names begin.
const KNOWN: [(&str, &[usize]); 3] = [
    ("oltp", &[250, 500, 1_000, 2_000, 4_000, 8_000]),
    ("p3", &[25_000, 50_000, 100_000]),
    ("mooncake-conversation", &[1_000, 5_000, 20_000, 50_000]),
];
/// Of other traces: so many hundredths of the distinct blocks.
const HUNDREDTHS: [usize; 4] = [1, 5, 10, 20];

/// Reads the trace in `file`, of which at most the first `accesses`.
///
/// # Errors
///
/// The file cannot be read, or a line in it does not look like one of such a trace.
pub(crate) fn read(file: &Path, accesses: usize) -> io::Result<Trace> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let mut reader: Box<dyn Read> = Box::new(File::open(file).map_err(|error| at(file, &error))?);
    if name.ends_with(".zst") {
        reader = Box::new(zstd::Decoder::new(reader)?);
    }
    let stem = name.split('.').next().unwrap_or(&name);
    let kind = if name.contains(".jsonl") { Kind::Prompts } else { Kind::Storage };
    let parse = if kind == Kind::Prompts { request } else { range };
    let mut blocks = Vec::new();
    for (number, line) in BufReader::new(reader).lines().enumerate() {
        let line = line.map_err(|error| at(file, &error))?;
        if parse(&line, &mut blocks).is_none() && !line.trim().is_empty() {
            let what = format!("line {} is not one of a trace", number + 1);
            return Err(at(file, &io::Error::new(io::ErrorKind::InvalidData, what)));
        }
        if blocks.len() >= accesses {
            break;
        }
    }
    blocks.truncate(accesses);
    let known = KNOWN.iter().find(|(known, _)| stem.to_lowercase() == *known);
    let capacities = known.map_or_else(|| shares(&blocks), |(_, capacities)| capacities.to_vec());
    Ok(Trace::new(stem, kind, blocks, &capacities))
}

/// `start count …`: the blocks from `start` on; or one block alone.
fn range(line: &str, blocks: &mut Vec<u64>) -> Option<()> {
    let mut words = line.split_ascii_whitespace();
    let start: u64 = words.next()?.parse().ok()?;
    let count: u64 = words.next().map_or(Some(1), |word| word.parse().ok())?;
    blocks.extend(start..start.checked_add(count)?);
    Some(())
}

/// A request to a model: its blocks in order.
fn request(line: &str, blocks: &mut Vec<u64>) -> Option<()> {
    #[derive(Deserialize)]
    struct Request {
        hash_ids: Vec<u64>,
    }
    let request: Request = serde_json::from_str(line).ok()?;
    blocks.extend(request.hash_ids);
    Some(())
}

fn shares(blocks: &[u64]) -> Vec<usize> {
    let distinct = blocks.iter().collect::<HashSet<_>>().len();
    HUNDREDTHS.iter().map(|hundredths| (distinct * hundredths / 100).max(1)).collect()
}

fn at(file: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_both_formats_become_blocks() {
        let mut blocks = Vec::new();
        assert_eq!(range("7 3 0 1", &mut blocks), Some(()));
        assert_eq!(range("42", &mut blocks), Some(()));
        assert_eq!(request(r#"{"timestamp": 0, "hash_ids": [5, 6]}"#, &mut blocks), Some(()));
        assert_eq!(blocks, [7, 8, 9, 42, 5, 6]);
        assert_eq!(range("seven 3", &mut blocks), None);
        assert_eq!(request("{}", &mut blocks), None);
    }

    #[test]
    fn capacities_of_unknown_traces_are_shares_of_their_distinct_blocks() {
        assert_eq!(shares(&(0..200).chain(0..200).collect::<Vec<_>>()), [2, 10, 20, 40]);
    }
}
