//! The table at the end.

use std::time::Duration;

use crate::client::Source;
use crate::tally::{CHAT_IN, CHAT_OUT, EMBEDDING, Tally};

/// All that the table shows.
#[derive(Debug)]
pub(crate) struct Account<'a> {
    pub(crate) tally: &'a Tally,
    /// A sample that did not go through the proxy.
    pub(crate) direct: &'a Tally,
    /// Requests that reached the provider, those of the sample left out.
    pub(crate) calls: u64,
    pub(crate) with_redis: bool,
}

impl Account<'_> {
    pub(crate) fn print(&self) {
        println!("\n  {:<34}{:>8}{:>9}{:>11}{:>11}", "", "requests", "share", "p50", "p99");
        row("answered from memory (L1 hit)", self.tally, Source::Memory);
        if self.with_redis {
            row("answered from Redis (L2 hit)", self.tally, Source::Redis);
        }
        row("joined a fetch under way", self.tally, Source::Joined);
        row("answered by the provider (miss)", self.tally, Source::Provider);
        row("to compare: without the proxy", self.direct, Source::Provider);
        println!();
        self.print_sums();
        for failure in self.tally.failures.iter().take(3) {
            println!("  failed: {failure}");
        }
    }

    fn print_sums(&self) {
        let Tally { paid, saved, wrong, failures, .. } = self.tally;
        let answered = self.tally.answered();
        let requests = answered + failures.len();
        println!("  requests                {requests}, {} of them failed", failures.len());
        println!(
            "  answers checked         {answered}, {wrong} of them not what the provider says"
        );
        println!(
            "  provider calls saved    {} of {requests}",
            u64::try_from(requests).unwrap_or(u64::MAX).saturating_sub(self.calls)
        );
        println!("  tokens saved            {} of {}", saved.tokens, saved.tokens + paid.tokens);
        println!(
            "  dollars saved           {:.4} of {:.4}",
            saved.dollars,
            saved.dollars + paid.dollars
        );
        println!(
            "                          ($ per million tokens: chat {CHAT_IN:.2} in, {CHAT_OUT:.2} \
             out; embeddings {EMBEDDING:.2})"
        );
    }
}

fn row(what: &str, tally: &Tally, source: Source) {
    println!(
        "  {what:<34}{:>8}{:>7.1} %{:>11}{:>11}",
        tally.count(source),
        tally.percent(source),
        time(tally.percentile(source, 50)),
        time(tally.percentile(source, 99)),
    );
}

/// In the unit that people think in at that size.
pub(crate) fn time(time: Option<Duration>) -> String {
    match time {
        None => "-".to_owned(),
        Some(time) if time < Duration::from_millis(1) => format!("{} µs", time.as_micros()),
        Some(time) if time < Duration::from_secs(1) => {
            format!("{:.1} ms", time.as_secs_f64() * 1e3)
        }
        Some(time) => format!("{:.2} s", time.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_unit_of_their_size() {
        assert_eq!(time(Some(Duration::from_micros(321))), "321 µs");
        assert_eq!(time(Some(Duration::from_micros(2_500))), "2.5 ms");
        assert_eq!(time(Some(Duration::from_millis(1_234))), "1.23 s");
        assert_eq!(time(None), "-");
    }
}
