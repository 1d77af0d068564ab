//! Raw bytes as a body: a key or a reason, the same for what means the same; never a panic, a hang or
//! time that is not linear.
#![no_main]

use std::time::{Duration, Instant};

use cache_key::{EndpointKind, KeyOptions, KeyScope, Request, Tenant, diff, key_of, llmix_key, to_jcs};
use libfuzzer_sys::fuzz_target;

const KINDS: [EndpointKind; 4] = [
    EndpointKind::ChatCompletions,
    EndpointKind::Responses,
    EndpointKind::Messages,
    EndpointKind::Generic,
];

fuzz_target!(|bytes: &[u8]| {
    // Slower by far than any machine: a few microseconds a kilobyte are usual. A process that had to wait
    // for a processor is not slow again.
    let bound = Duration::from_secs(2) + Duration::from_micros(bytes.len() as u64 * 50);
    let quick = (0..3).any(|_| {
        let start = Instant::now();
        check(bytes);
        start.elapsed() < bound
    });
    assert!(quick, "{} bytes took more than {bound:?}, three times", bytes.len());
});

fn check(bytes: &[u8]) {
    let scope = KeyScope::new(Tenant::Shared);
    let theirs = serde_json::from_slice::<serde_json::Value>(bytes);
    for kind in KINDS {
        let request = match Request::parse(kind, bytes) {
            Ok(request) => request,
            Err(_) => continue,
        };
        let key = request.key(&scope);
        let options = KeyOptions::new();
        assert!(diff(&request, &request, &options).is_empty());
        let explanation = request.explain(&options);
        assert!(explanation.entered.len() + explanation.left_out.len() >= request.body().members().len());
        // Another reader of the same text, and what it writes, agree where it keeps numbers exactly.
        if let Ok(value) = &theirs
            && !bytes.iter().any(|&byte| matches!(byte, b'.' | b'e' | b'E'))
            && !has_large_number(bytes)
        {
            assert_eq!(key_of(kind, value, &scope).expect("a key"), key, "{kind}");
            let text = to_jcs(bytes).expect("small numbers only");
            let again = Request::parse(kind, text.as_bytes()).expect("canonical text is JSON");
            assert_eq!(again.key(&scope), key, "{kind}: {text}");
            assert!(diff(&request, &again, &options).is_empty());
        }
    }
    let _ = (to_jcs(bytes), llmix_key(bytes));
}

/// Whether any run of digits may be more than a double keeps.
fn has_large_number(bytes: &[u8]) -> bool {
    bytes.split(|byte| !byte.is_ascii_digit()).any(|digits| digits.len() > 15)
}
