//! One upstream, many readers: nothing is lost, nothing hangs, nothing grows.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use cache_core::BoxError;
use cache_llm::live::{Live, LiveError, Reader, Recording};
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;

type Item = Result<Bytes, BoxError>;

/// An upstream that is fed by hand. Dropping the sender ends it; a dropped upstream closes the
/// sender. It holds one chunk, so `send` returns once the one before was read.
fn upstream() -> (mpsc::Sender<Item>, impl Stream<Item = Item> + Send + 'static) {
    let (send, receive) = mpsc::channel(1);
    let items = stream::unfold(receive, |mut receive: mpsc::Receiver<Item>| async {
        receive.recv().await.map(|item| (item, receive))
    });
    (send, items)
}

fn start(max_bytes: usize) -> (mpsc::Sender<Item>, Live, Reader, oneshot::Receiver<Recording>) {
    let (feed, upstream) = upstream();
    let (tell, told) = oneshot::channel();
    let (live, reader) = Live::start(upstream, max_bytes, |recording| async {
        tell.send(recording).expect("the test waits for it");
    });
    (feed, live, reader, told)
}

#[allow(clippy::unnecessary_wraps, reason = "it is what upstreams yield")]
fn chunk(text: &'static str) -> Item {
    Ok(Bytes::from_static(text.as_bytes()))
}

async fn read_all(mut reader: Reader) -> Result<Vec<u8>, LiveError> {
    let mut all = Vec::new();
    while let Some(chunk) = reader.next().await {
        all.extend_from_slice(&chunk?);
    }
    Ok(all)
}

fn ended(recording: Recording) -> Vec<u8> {
    match recording {
        Recording::Ended(pieces) => pieces.concat(),
        other => panic!("{other:?}"),
    }
}

/// A43: late joiners get what has passed and share the rest: the identical bytes.
#[tokio::test]
async fn late_joiners_get_identical_bytes() {
    let (feed, live, mut first, told) = start(1024);
    feed.send(chunk("a")).await.unwrap();
    assert_eq!(first.next().await.unwrap().unwrap(), "a");
    let second = tokio::spawn(read_all(live.join().unwrap()));
    feed.send(chunk("b")).await.unwrap();
    assert_eq!(first.next().await.unwrap().unwrap(), "b");
    let third = tokio::spawn(read_all(live.join().unwrap()));
    feed.send(chunk("c")).await.unwrap();
    drop(feed);
    assert_eq!(read_all(first).await.unwrap(), b"c");
    assert_eq!(second.await.unwrap().unwrap(), b"abc");
    assert_eq!(third.await.unwrap().unwrap(), b"abc");
    assert_eq!(ended(told.await.unwrap()), b"abc");
    let after = live.join().expect("the log is whole, so it can still be read");
    assert_eq!(read_all(after).await.unwrap(), b"abc");
}

/// A97: a chunk is with the reader before the next one comes; nothing waits for the end.
#[tokio::test]
async fn chunks_are_passed_on_at_once() {
    let (feed, _live, mut reader, _told) = start(1024);
    for text in ["1", "2", "3"] {
        feed.send(chunk(text)).await.unwrap();
        assert_eq!(reader.next().await.unwrap().unwrap(), text);
    }
}

/// A50: an upstream that fails ends every reader with the error, after what came before it.
#[tokio::test]
async fn failure_reaches_every_reader() {
    let (feed, live, first, told) = start(1024);
    let second = live.join().unwrap();
    feed.send(chunk("a")).await.unwrap();
    feed.send(Err(io::Error::from(io::ErrorKind::ConnectionReset).into())).await.unwrap();
    for mut reader in [first, second] {
        assert_eq!(reader.next().await.unwrap().unwrap(), "a");
        let error = reader.next().await.unwrap().unwrap_err();
        let LiveError::Upstream(source) = error else { panic!("{error:?}") };
        assert!(source.downcast_ref::<io::Error>().is_some(), "the source stays typed");
        assert!(reader.next().await.is_none(), "once");
    }
    assert!(matches!(told.await.unwrap(), Recording::Broken));
    assert!(live.join().is_none());
}

/// The last reader to leave ends the upstream; one of two does not.
#[tokio::test]
async fn last_reader_leaving_drops_the_upstream() {
    let (feed, live, first, told) = start(1024);
    let mut second = live.join().unwrap();
    feed.send(chunk("a")).await.unwrap();
    drop(first);
    feed.send(chunk("b")).await.unwrap();
    assert_eq!(second.next().await.unwrap().unwrap(), "a");
    assert_eq!(second.next().await.unwrap().unwrap(), "b");
    assert!(!feed.is_closed());
    drop(second);
    feed.closed().await;
    assert!(live.join().is_none(), "nobody can join what is being dropped");
    match told.await.unwrap() {
        Recording::Abandoned(pieces) => assert_eq!(pieces.concat(), b"ab"),
        other => panic!("{other:?}"),
    }
}

/// Leaving before anything came works too.
#[tokio::test]
async fn leaving_at_once() {
    let (feed, live, reader, told) = start(1024);
    drop(reader);
    feed.closed().await;
    assert_eq!(live.readers(), 0);
    assert!(matches!(told.await.unwrap(), Recording::Abandoned(pieces) if pieces.is_empty()));
}

/// F40: beyond the limit a slow reader holds the upstream up: memory stays bounded, nothing is
/// lost, nobody joins, nothing is recorded.
#[tokio::test]
async fn slow_reader_of_a_large_stream_keeps_memory_bounded() {
    const LIMIT: usize = 1000;
    const CHUNK: usize = 100;
    let (feed, live, mut slow, told) = start(LIMIT);
    let fast = tokio::spawn(read_all(live.join().unwrap()));
    let numbers = |from: usize| Bytes::from(vec![u8::try_from(from % 251).unwrap(); CHUNK]);
    let feeding = tokio::spawn(async move {
        for number in 0..200 {
            feed.send(Ok(numbers(number))).await.unwrap();
        }
    });
    let mut seen = Vec::new();
    for _ in 0..200 {
        // Whatever the others can do without this reader, they do now.
        for _ in 0..50 {
            yield_now().await;
        }
        assert!(live.held_bytes() <= LIMIT + CHUNK, "{} bytes are held", live.held_bytes());
        seen.extend_from_slice(&slow.next().await.unwrap().unwrap());
    }
    feeding.await.unwrap();
    assert!(live.join().is_none(), "the start is gone");
    assert!(slow.next().await.is_none());
    let expected: Vec<u8> = (0..200).flat_map(numbers).collect();
    assert_eq!(seen, expected);
    assert_eq!(fast.await.unwrap().unwrap(), expected);
    assert!(matches!(told.await.unwrap(), Recording::TooLarge));
    assert_eq!(live.held_bytes(), 0, "read by all, kept by none");
}

/// A slow reader that leaves sets the others free.
#[tokio::test]
async fn slow_reader_leaving_lets_the_rest_go_on() {
    let (feed, live, slow, told) = start(10);
    let fast = tokio::spawn(read_all(live.join().unwrap()));
    let feeding = tokio::spawn(async move {
        for _ in 0..100 {
            feed.send(chunk("12345")).await.unwrap();
        }
    });
    for _ in 0..100 {
        yield_now().await;
    }
    assert!(!feeding.is_finished(), "the slow reader holds the upstream up");
    drop(slow);
    assert_eq!(fast.await.unwrap().unwrap().len(), 500);
    feeding.await.unwrap();
    assert!(matches!(told.await.unwrap(), Recording::TooLarge));
}

/// All readers leaving while the upstream is held up ends it all the same.
#[tokio::test]
async fn leaving_while_held_up() {
    let (feed, live, reader, told) = start(1);
    feed.send(chunk("12345")).await.unwrap();
    while live.held_bytes() == 0 {
        yield_now().await;
    }
    drop(reader);
    feed.closed().await;
    assert!(matches!(told.await.unwrap(), Recording::TooLarge));
}

/// Up to the limit no reader slows another: the log is whole.
#[tokio::test]
async fn below_the_limit_the_upstream_runs_ahead() {
    let (feed, live, slow, told) = start(500);
    for _ in 0..20 {
        feed.send(chunk("a piece of 25 bytes as is")).await.unwrap();
    }
    drop(feed);
    assert_eq!(ended(told.await.unwrap()).len(), 500);
    assert_eq!(live.held_bytes(), 500);
    assert_eq!(read_all(slow).await.unwrap().len(), 500);
}

/// A45: a panic in the upstream ends the readers with an error; they do not hang.
#[tokio::test]
async fn panic_of_the_upstream_is_an_error() {
    let upstream = stream::once(async { chunk("a") }).chain(stream::once(async { panic!("boom") }));
    let (live, reader) =
        Live::start(upstream, 100, |_| async { unreachable!("no end, no recording") });
    let mut reader = reader.into_stream();
    assert_eq!(reader.next().await.unwrap().unwrap(), "a");
    assert!(matches!(reader.next().await, Some(Err(LiveError::Lost))));
    assert!(reader.next().await.is_none());
    assert!(live.join().is_none());
}

/// A panic of whoever stores does not turn a whole answer into a broken one.
#[tokio::test]
async fn panic_while_storing_is_not_the_readers_business() {
    let upstream = stream::iter([chunk("a")]);
    let (_live, reader) = Live::start(upstream, 100, |_| async { panic!("boom") });
    assert_eq!(read_all(reader).await.unwrap(), b"a");
}

/// A97: what the store does before its first wait is done when the readers see the end, and the
/// rest does not hold them up.
#[tokio::test]
async fn storing_starts_before_the_end_and_does_not_delay_it() {
    let stored = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = Arc::clone(&stored);
    let (go_on, wait) = oneshot::channel::<()>();
    let (tell, told) = oneshot::channel();
    let upstream = stream::iter([chunk("a")]);
    let (_live, reader) = Live::start(upstream, 100, |_| async move {
        counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        wait.await.unwrap();
        tell.send(()).unwrap();
    });
    assert_eq!(read_all(reader).await.unwrap(), b"a");
    assert_eq!(stored.load(std::sync::atomic::Ordering::SeqCst), 1);
    go_on.send(()).unwrap();
    told.await.expect("storing goes on when the last reader is gone");
}

/// The same where readers run beside it: none sees the end before the store has begun.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reader_sees_the_end_before_the_store_began() {
    for _ in 0..20 {
        let begun = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let flag = Arc::clone(&begun);
        let (feed, upstream) = upstream();
        let (_live, reader) = Live::start(upstream, 100, |_| async move {
            for _ in 0..1000 {
                std::thread::yield_now(); // time enough for a reader that need not wait
            }
            flag.store(true, std::sync::atomic::Ordering::SeqCst);
        });
        let reading = tokio::spawn(async move {
            read_all(reader).await.unwrap();
            begun.load(std::sync::atomic::Ordering::SeqCst)
        });
        feed.send(chunk("a")).await.unwrap();
        drop(feed);
        assert!(reading.await.unwrap());
    }
}

/// A43: a thousand readers at different paces on several threads, all with the same bytes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_readers() {
    for limit in [100, 1 << 20] {
        let (feed, live, first, _told) = start(limit);
        let mut readers = vec![tokio::spawn(read_all(first))];
        readers.extend((1..1000).map(|_| tokio::spawn(read_all(live.join().unwrap()))));
        let mut expected = Vec::new();
        for number in 0_u32..200 {
            let bytes = Bytes::copy_from_slice(&number.to_be_bytes());
            expected.extend_from_slice(&bytes);
            feed.send(Ok(bytes)).await.unwrap();
        }
        drop(feed);
        for reader in readers {
            assert_eq!(reader.await.unwrap().unwrap(), expected);
        }
        while live.readers() > 0 {
            yield_now().await;
        }
    }
}

/// Readers come and go at every stage on several threads; those who stay get everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn churn() {
    for round in 0..50_usize {
        let (feed, live, first, told) = start(1 << 20);
        let stays = tokio::spawn(read_all(first));
        let churn: Vec<_> = (0..8_usize)
            .map(|id| {
                let live = live.clone();
                tokio::spawn(async move {
                    for step in 0..20 {
                        let Some(mut reader) = live.join() else {
                            return;
                        };
                        for _ in 0..(id + step + round) % 7 {
                            reader.next().await;
                        }
                    }
                })
            })
            .collect();
        for _ in 0..100 {
            feed.send(chunk("12345")).await.unwrap();
        }
        drop(feed);
        assert_eq!(stays.await.unwrap().unwrap().len(), 500);
        assert_eq!(ended(told.await.unwrap()).len(), 500);
        for task in churn {
            task.await.unwrap();
        }
        assert_eq!(live.readers(), 0);
    }
}
