//! Each fault of the proxy, seen by a client that reads raw bytes, in front of a real server.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use testbed::redis::{Certificates, RedisServerOptions};
use testbed::redis::{Fault, FaultProxy, RedisServer, server_or_skip, server_with_or_skip};

/// Long enough for a busy machine: what is slower is not slow but hung.
const LIMIT: Duration = Duration::from_secs(10);
/// How long silence is listened to. A fault that does not work answers at once.
const SILENCE: Duration = Duration::from_millis(60);

fn start(test_name: &str) -> Option<(RedisServer, FaultProxy)> {
    let server = server_or_skip(test_name)?;
    let proxy = FaultProxy::start(server.address()).expect("a free port");
    server.command("SET k value").expect("the server answers");
    Some((server, proxy))
}

struct Client(TcpStream);

impl Client {
    fn connect(proxy: &FaultProxy) -> Self {
        let stream = TcpStream::connect(proxy.address()).expect("the proxy accepts");
        stream.set_read_timeout(Some(LIMIT)).expect("a valid limit");
        Self(stream)
    }

    fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).expect("the proxy reads");
    }

    /// Reads as many bytes as `wanted` has.
    fn expect(&mut self, wanted: &str) {
        let mut bytes = vec![0; wanted.len()];
        self.0.read_exact(&mut bytes).expect("a reply");
        assert_eq!(String::from_utf8_lossy(&bytes), wanted);
    }

    fn ask(&mut self, text: &str, wanted: &str) {
        self.send(text);
        self.expect(wanted);
    }

    fn hears_nothing(&mut self) {
        self.0.set_read_timeout(Some(SILENCE)).expect("a valid limit");
        let error = self.0.read(&mut [0]).expect_err("silence");
        assert!(matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut));
        self.0.set_read_timeout(Some(LIMIT)).expect("a valid limit");
    }

    /// How the connection ends.
    fn end(&mut self) -> io::Result<usize> {
        self.0.read(&mut [0])
    }

    fn is_reset(&mut self) {
        assert_eq!(self.end().expect_err("a reset").kind(), io::ErrorKind::ConnectionReset);
    }
}

const GET: &str = "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
const VALUE: &str = "$5\r\nvalue\r\n";

#[test]
fn without_a_fault_all_goes_through_in_order() {
    let Some((_server, proxy)) = start("without_a_fault_all_goes_through_in_order") else { return };
    let mut client = Client::connect(&proxy);
    client.ask("PING\r\n", "+PONG\r\n");
    client.ask(&GET.repeat(3), &VALUE.repeat(3));
    // A reply that comes in many pieces, and one that is not made of strings alone.
    let long = "x".repeat(300_000);
    client.ask(&format!("*3\r\n$3\r\nSET\r\n$1\r\nl\r\n$300000\r\n{long}\r\n"), "+OK\r\n");
    client.ask("GET l\r\n", &format!("$300000\r\n{long}\r\n"));
    client.ask("HSET h a 1\r\n", ":1\r\n");
    client.send("HELLO 3\r\n");
    client.expect("%7\r\n$6\r\nserver\r\n");
    client.send("HGETALL h\r\n");
    let mut rest = String::new();
    while !rest.ends_with("%1\r\n$1\r\na\r\n$1\r\n1\r\n") {
        let mut byte = [0];
        client.0.read_exact(&mut byte).unwrap();
        rest.push(char::from(byte[0]));
    }
    let counts = proxy.counts();
    assert_eq!((counts.connections, counts.requests, counts.faults), (1, 9, 0));
    assert_eq!((counts.replies, proxy.open_connections()), (9, 1));
}

#[test]
fn pushed_messages_go_through_while_nobody_asks() {
    let Some((server, proxy)) = start("pushed_messages_go_through_while_nobody_asks") else {
        return;
    };
    let mut client = Client::connect(&proxy);
    client.ask("SUBSCRIBE c\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
    proxy.set(Fault::reset_after(0)); // strikes replies, and this is none
    server.command("PUBLISH c hi").unwrap();
    client.expect("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n");
}

#[test]
fn delayed_replies_come_late_and_not_one_after_the_other() {
    let Some((_server, proxy)) = start("delayed_replies_come_late_and_not_one_after_the_other")
    else {
        return;
    };
    let mut client = Client::connect(&proxy);
    let delay = Duration::from_millis(150);
    proxy.set(Fault::delay(delay));
    let start = Instant::now();
    client.ask(&GET.repeat(20), &VALUE.repeat(20));
    assert!((delay..10 * delay).contains(&start.elapsed()), "{:?}", start.elapsed());

    proxy.set(Fault::delay(LIMIT * 2));
    client.send(GET);
    client.hears_nothing();
    proxy.pass(); // which ends the delay
    client.expect(VALUE);
}

#[test]
fn what_is_held_back_comes_when_it_is_let_go() {
    let Some((server, proxy)) = start("what_is_held_back_comes_when_it_is_let_go") else { return };
    let mut before = Client::connect(&proxy);
    before.ask("PING\r\n", "+PONG\r\n");
    proxy.set(Fault::hold());
    let mut after = Client::connect(&proxy);
    for client in [&mut before, &mut after] {
        client.send("SET held 1\r\n");
        client.hears_nothing();
    }
    assert_eq!(server.command("EXISTS held").unwrap(), ":0\r\n");
    proxy.pass();
    before.expect("+OK\r\n");
    after.expect("+OK\r\n");

    proxy.set(Fault::hold().on("get"));
    before.ask("PING\r\n", "+PONG\r\n");
    before.send(GET);
    before.hears_nothing();
    proxy.reset_connections();
    before.is_reset();
}

#[test]
fn refused_means_that_nobody_listens() {
    let Some((_server, proxy)) = start("refused_means_that_nobody_listens") else { return };
    let mut client = Client::connect(&proxy);
    client.ask(GET, VALUE);
    for _ in 0..3 {
        proxy.set(Fault::refuse());
        let error = TcpStream::connect(proxy.address()).expect_err("refused");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        client.ask(GET, VALUE);
        proxy.pass();
        Client::connect(&proxy).ask(GET, VALUE);
    }
    proxy.reset_connections();
    client.is_reset();
    assert_eq!(proxy.counts().connections, 4);
}

#[test]
fn a_reply_can_be_cut_by_a_reset_a_close_or_silence() {
    let Some((_server, proxy)) = start("a_reply_can_be_cut_by_a_reset_a_close_or_silence") else {
        return;
    };
    for cut in [0, 1, 6] {
        proxy.set(Fault::reset_after(cut).times(1));
        let mut client = Client::connect(&proxy);
        client.ask(GET, &VALUE[..cut]);
        client.is_reset();

        proxy.set(Fault::close_after(cut).times(1));
        let mut client = Client::connect(&proxy);
        client.ask(GET, &VALUE[..cut]);
        assert_eq!(client.end().unwrap(), 0);

        proxy.set(Fault::stall_after(cut).times(1));
        let mut client = Client::connect(&proxy);
        client.ask(GET, &VALUE[..cut]);
        client.send(GET);
        client.hears_nothing(); // nor is the second request answered
        Client::connect(&proxy).ask(GET, VALUE); // but that of another connection
    }
    assert_eq!(proxy.counts().faults, 9);
}

#[test]
fn an_answer_of_our_own_is_given_in_turn_and_the_server_does_not_know() {
    let name = "an_answer_of_our_own_is_given_in_turn_and_the_server_does_not_know";
    let Some((server, proxy)) = start(name) else { return };
    let mut client = Client::connect(&proxy);
    let loading = "-LOADING Redis is loading the dataset in memory\r\n";
    proxy.set(Fault::answer(loading).on("SET").times(2));
    let set = "SET k other\r\n";
    client.ask(
        &[GET, set, GET, set, GET].concat(),
        &[VALUE, loading, VALUE, loading, VALUE].concat(),
    );
    assert_eq!(server.command("GET k").unwrap(), VALUE);
    client.ask(set, "+OK\r\n"); // two times are over

    let moved = "-MOVED 1 127.0.0.1:1\r\n";
    proxy.set(Fault::answer(moved));
    for _ in 0..3 {
        client.ask(GET, moved);
    }
    proxy.pass();
    client.ask(GET, "$5\r\nother\r\n");
}

#[test]
fn a_reply_can_be_replaced_after_the_fact() {
    let Some((server, proxy)) = start("a_reply_can_be_replaced_after_the_fact") else { return };
    let mut client = Client::connect(&proxy);
    let garbage = "\u{1}no such thing";
    proxy.set(Fault::replace(garbage).on("SET").times(1));
    client.ask("SET k other\r\n", garbage);
    assert_eq!(server.command("GET k").unwrap(), "$5\r\nother\r\n");
    client.ask(GET, "$5\r\nother\r\n");
}

#[test]
fn a_narrow_line_takes_its_time() {
    let Some((server, proxy)) = start("a_narrow_line_takes_its_time") else { return };
    server.command(&format!("SET k {}", "x".repeat(1_000))).unwrap();
    let reply = server.command("GET k").unwrap();
    let mut client = Client::connect(&proxy);
    proxy.set(Fault::bandwidth(5_000));
    let start = Instant::now();
    client.ask(GET, &reply);
    assert!(start.elapsed() > Duration::from_millis(190), "{:?}", start.elapsed());

    proxy.set(Fault::bandwidth(1));
    client.send(GET);
    proxy.pass(); // the rest comes at once
    client.expect(&reply);
}

#[test]
fn a_server_that_is_gone_takes_its_connections_along() {
    let Some((mut server, proxy)) = start("a_server_that_is_gone_takes_its_connections_along")
    else {
        return;
    };
    let mut client = Client::connect(&proxy);
    client.ask(GET, VALUE);
    server.kill();
    assert!(matches!(client.end(), Ok(0) | Err(_)));
    let mut client = Client::connect(&proxy);
    client.is_reset(); // the proxy is there, the server is not
    server.restart().unwrap();
    Client::connect(&proxy).ask(GET, "$-1\r\n");
}

#[test]
fn what_is_not_resp_goes_through_in_pieces() {
    let certificates = Certificates::generate().unwrap();
    let options = RedisServerOptions::default().tls(&certificates);
    let name = "what_is_not_resp_goes_through_in_pieces";
    let Some(server) = server_with_or_skip(name, &options) else { return };
    let proxy = FaultProxy::start(server.address()).unwrap();
    assert!(server.url_at(proxy.port()).starts_with("rediss://"));
    let mut client = Client::connect(&proxy);
    // A handshake that begins with a message of a type that does not exist.
    client.0.write_all(&[0x16, 0x03, 0x01, 0, 4, 0xFF, 0, 0, 0]).unwrap();
    let mut alert = [0; 7];
    client.0.read_exact(&mut alert).unwrap();
    assert_eq!(alert[0], 0x15, "an alert of TLS");
}

#[test]
fn a_dropped_proxy_ends_all_and_frees_its_port() {
    let Some((_server, proxy)) = start("a_dropped_proxy_ends_all_and_frees_its_port") else {
        return;
    };
    let (mut busy, mut held) = (Client::connect(&proxy), Client::connect(&proxy));
    busy.ask(GET, VALUE);
    held.ask(GET, VALUE);
    proxy.set(Fault::hold());
    held.send(GET);
    let address = proxy.address();
    drop(proxy);
    assert!(matches!(busy.end(), Ok(0) | Err(_)));
    assert!(matches!(held.end(), Ok(0) | Err(_)));
    std::net::TcpListener::bind(address).unwrap();
}
