//! The unmodified `openai` Python client through the built proxy.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use testbed::provider::{Provider, ProviderOptions};

/// Chat, streams and embeddings give equal objects on miss and hit, and typed errors stay what they
/// are; `openai_client/check.py` is the client's side.
#[tokio::test(flavor = "multi_thread")]
async fn the_openai_client_sees_no_difference_between_miss_and_hit() {
    let Some(client) = std::env::var_os("TESTBED_PYTHON_PATH") else {
        testbed::skip(
            "openai_client",
            "the openai Python client is not installed (`cargo xtask test` installs it)",
        );
        return;
    };
    let options = ProviderOptions { require_credential: true, ..ProviderOptions::default() };
    let provider = Provider::start(options).await;
    let proxy = Proxy::start(&provider.url());
    let base_url = format!("{}/v1", proxy.url);

    let check = tokio::task::spawn_blocking(move || {
        Command::new("python3")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openai_client/check.py"))
            .arg(base_url)
            .env("PYTHONPATH", client)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("NO_PROXY", "127.0.0.1") // somebody's HTTP proxy is not under test
            .env_remove("OPENAI_ORG_ID")
            .env_remove("OPENAI_PROJECT_ID")
            .output()
    });
    let output = check.await.expect("the task ends").expect("python3 starts");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    // Every case was fetched once, and so was each that is asked in both transports; errors were asked for twice each, the models once.
    assert_eq!(provider.calls().to("/v1/chat/completions"), 6 + 5 + 3 * 2);
    assert_eq!(provider.calls().to("/v1/embeddings"), 3);
    assert_eq!(provider.calls().to("/v1/models"), 1);
}

/// The built binary; killed when dropped.
struct Proxy {
    url: String,
    process: Child,
}

impl Proxy {
    fn start(upstream: &str) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_cache-proxy"))
            .args(["--listen", "127.0.0.1:0", "--upstream", upstream])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the proxy starts");
        let stdout = process.stdout.take().expect("stdout is piped");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("the proxy prints a line");
        let url = line.trim().strip_prefix("listening on ").expect("the line names the URL");
        Self { url: url.to_owned(), process }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.process.kill().ok(); // it fails only if the process is gone already
        self.process.wait().ok();
    }
}
