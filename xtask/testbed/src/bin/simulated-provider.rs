//! The simulated provider on its own, to try a gateway by hand.

use clap::Parser;
use testbed::provider::{Delays, Provider, ProviderOptions};

/// A simulated LLM provider that speaks OpenAI's wire format on 127.0.0.1.
#[derive(Parser)]
struct Options {
    /// The port to listen on; 0 lets the system pick.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Answer at once, without the delays of a real model.
    #[arg(long)]
    instant: bool,
    /// Answer 401 to requests without a credential.
    #[arg(long)]
    require_credential: bool,
}

#[tokio::main]
async fn main() {
    let options = Options::parse();
    let provider = Provider::start(ProviderOptions {
        port: options.port,
        require_credential: options.require_credential,
        delays: if options.instant { Delays::default() } else { Delays::realistic() },
        ..ProviderOptions::default()
    })
    .await;
    println!("listening on {}", provider.url());
    std::future::pending::<()>().await; // until somebody ends the process
}
