//! How long a model takes, drawn from token counts.

use std::time::Duration;

use crate::random::Random;

/// How long answers take: the time to the first token grows with the prompt, the rest with the answer.
///
/// Each request draws its own factor, from 0.7 to 2.2 with few long ones, as a function of the request:
/// the same request takes the same time in each run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Delays {
    /// Before the first token of any answer.
    pub first_token: Duration,
    /// Added to that for each token of the prompt.
    pub per_prompt_token: Duration,
    /// For each token of a chat answer. Embeddings have none.
    pub per_output_token: Duration,
}

impl Delays {
    /// What a small hosted chat model takes: a quarter of a second, then about 80 tokens a second.
    pub const fn realistic() -> Self {
        Self {
            first_token: Duration::from_millis(250),
            per_prompt_token: Duration::from_micros(100),
            per_output_token: Duration::from_millis(12),
        }
    }

    /// The delays of one request, identified by its `seed`.
    pub(super) fn draw(&self, seed: u64, prompt_tokens: u32) -> Drawn {
        let factor = 0.7 + 1.5 * Random::new(seed ^ 0x5eed).unit().powi(4);
        let first = self.first_token + self.per_prompt_token * prompt_tokens;
        Drawn {
            first_token: first.mul_f64(factor),
            per_token: self.per_output_token.mul_f64(factor),
        }
    }
}

/// The delays of one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drawn {
    pub(super) first_token: Duration,
    pub(super) per_token: Duration,
}

/// Waits, without touching the timer when there is nothing to wait for.
pub(super) async fn wait(delay: Duration) {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_with_tokens_and_none_stays_none() {
        let none = Delays::default().draw(1, 1000);
        assert!(none.first_token.is_zero() && none.per_token.is_zero());

        let delays = Delays::realistic();
        assert!(delays.draw(1, 1000).first_token > delays.draw(1, 10).first_token);
        assert_eq!(delays.draw(1, 10).per_token, delays.draw(1, 10).per_token);
    }
}
