//! What a node says about the Cluster in `CLUSTER NODES`.

use std::io;

use crate::redis::resp::bulk_strings;

/// One line of `CLUSTER NODES`.
#[derive(Debug)]
pub(super) struct NodeLine {
    pub(super) id: String,
    pub(super) flags: String,
    /// The master of a replica.
    pub(super) master: Option<String>,
    pub(super) epoch: u64,
    linked: bool,
    /// First and last slot of each range.
    pub(super) slots: Vec<(u16, u16)>,
}

impl NodeLine {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let id = words.next()?.to_owned();
        let flags = words.nth(1)?.to_owned();
        let master = words.next().filter(|&word| word != "-").map(str::to_owned);
        let epoch = words.nth(2)?.parse().ok()?;
        let linked = words.next()? == "connected";
        // In brackets stand slots that are on their way: they still belong to whom they did.
        let ranges = words.filter(|word| !word.starts_with('['));
        let slots = ranges.map(parse_range).collect::<Option<_>>()?;
        Some(Self { id, flags, master, epoch, linked, slots })
    }

    pub(super) fn is_myself(&self) -> bool {
        self.flags.split(',').any(|flag| flag == "myself")
    }

    /// Whether the one who says this can reach that node and has no doubts about it.
    pub(super) fn is_well(&self) -> bool {
        let bad = ["fail", "fail?", "handshake", "noaddr"];
        (self.linked || self.is_myself()) && !self.flags.split(',').any(|flag| bad.contains(&flag))
    }

    pub(super) fn owns(&self, slot: u16) -> bool {
        self.slots.iter().any(|&(first, last)| (first..=last).contains(&slot))
    }

    pub(super) fn slot_count(&self) -> usize {
        self.slots.iter().map(|&(first, last)| usize::from(last - first) + 1).sum()
    }
}

/// The reply to `CLUSTER NODES`, line by line.
pub(super) fn lines_of(reply: &[u8]) -> io::Result<Vec<NodeLine>> {
    let text = bulk_strings(reply)?.concat();
    let text = String::from_utf8_lossy(&text);
    let lines = text.lines().map(|line| {
        let unreadable = || io::Error::new(io::ErrorKind::InvalidData, line.to_owned());
        NodeLine::parse(line).ok_or_else(unreadable)
    });
    lines.collect()
}

fn parse_range(word: &str) -> Option<(u16, u16)> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    Some((first.parse().ok()?, last.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_with_what_is_on_its_way() {
        let text = "07c 127.0.0.1:30004@31004 slave,fail? e7d 0 1426238317239 4 disconnected\n\
                    e7d 127.0.0.1:30001@31001 myself,master - 0 0 1 connected 0-9 12 [93->-67e]\n";
        let lines = lines_of(format!("${}\r\n{text}\r\n", text.len()).as_bytes()).unwrap();
        assert_eq!((lines[0].master.as_deref(), lines[0].epoch), (Some("e7d"), 4));
        assert!(!lines[0].is_well() && !lines[0].is_myself());
        assert!(lines[1].is_well() && lines[1].is_myself());
        assert_eq!((lines[1].slot_count(), lines[1].master.as_deref()), (11, None));
        assert!(lines[1].owns(12) && !lines[1].owns(93));
    }
}
