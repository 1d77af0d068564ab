//! One connection: two threads read, one writes to the client.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use std::{mem, thread};

use super::fault::{Kind, Then};
use super::plan::Shared;
use crate::redis::resp::{Framer, bulk_strings};

/// How long the server may take to accept.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How often a slow connection gets its share of bytes.
const SHARES_PER_SECOND: u32 = 50;

/// What the readers tell the writer.
enum Event {
    /// A request went to the server: a reply will come.
    Asked {
        command: String,
    },
    /// A request that the server never sees, and its answer.
    Answered(Vec<u8>),
    /// From here on no RESP is spoken: pieces come as they come.
    NoLongerResp,
    FromServer {
        message: Vec<u8>,
        came: Instant,
    },
    /// One side is gone.
    End,
}

/// Connects to the server and starts the threads. They end with the connection.
pub(super) fn serve(client: TcpStream, shared: &Arc<Shared>) {
    let client = Arc::new(client);
    let Some(id) = shared.register(&client) else { return };
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        // A black hole takes the server away, too: nothing is seen of it until the hole is gone.
        shared.wait_while_held(id, "");
        let Ok(server) = TcpStream::connect_timeout(&shared.target(), CONNECT_LIMIT) else {
            return shared.reset_connection(id); // as if the server itself had not been there
        };
        // What comes before a cut must be on its way when the connection ends.
        let _ = client.set_nodelay(true);
        let _ = server.set_nodelay(true);
        let server = Arc::new(server);
        if shared.attach(id, &server).is_none() {
            return;
        }
        let (events, inbox) = channel();
        let requests = Requests {
            id,
            from: Arc::clone(&client),
            to: Arc::clone(&server),
            events: events.clone(),
            shared: Arc::clone(&shared),
        };
        thread::spawn(move || requests.run());
        thread::spawn(move || read_replies(&server, &events));
        Writer { id, client, shared, waiting: VecDeque::new(), resp: true, mute: false }
            .run(&inbox);
    });
}

/// Reads what the client sends.
struct Requests {
    id: u64,
    from: Arc<TcpStream>,
    to: Arc<TcpStream>,
    events: Sender<Event>,
    shared: Arc<Shared>,
}

impl Requests {
    fn run(self) {
        // Whatever ended it, the writer ends the connection.
        let _ = self.forward();
        let _ = self.events.send(Event::End);
    }

    fn forward(&self) -> io::Result<()> {
        let mut messages = Messages::new(&self.from);
        while let Some(message) = messages.next()? {
            let command = command_of(&message);
            if messages.resp && changes_protocol(&command) {
                messages.resp = false;
            }
            self.shared.counters().requests.fetch_add(1, Ordering::Relaxed);
            self.shared.wait_while_held(self.id, &command);
            let answer = self.shared.take_for_request(&command);
            // Said before it is done, so that the writer knows of the request when its reply comes.
            let event = match &answer {
                Some(bytes) => Some(Event::Answered(bytes.clone())),
                None if !messages.resp => Some(Event::NoLongerResp),
                None if has_no_reply(&command) => None,
                None => Some(Event::Asked { command }),
            };
            if let Some(event) = event {
                self.events.send(event).map_err(io::Error::other)?;
            }
            if answer.is_none() {
                (&*self.to).write_all(&message)?;
            }
        }
        Ok(())
    }
}

fn read_replies(server: &Arc<TcpStream>, events: &Sender<Event>) {
    let mut messages = Messages::new(server);
    while let Ok(Some(message)) = messages.next() {
        let event = Event::FromServer { message, came: Instant::now() };
        if events.send(event).is_err() {
            return;
        }
    }
    let _ = events.send(Event::End); // nobody listens if the writer is gone
}

/// Takes a stream of bytes apart.
struct Messages<'a> {
    stream: &'a TcpStream,
    buffer: Vec<u8>,
    framer: Framer,
    resp: bool,
}

impl<'a> Messages<'a> {
    fn new(stream: &'a TcpStream) -> Self {
        Self { stream, buffer: Vec::new(), framer: Framer::new(), resp: true }
    }

    /// The next message; whatever is there if this is not RESP. `None` at the end of the stream.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(length) = self.end() {
                let rest = self.buffer.split_off(length);
                return Ok(Some(mem::replace(&mut self.buffer, rest)));
            }
            let mut chunk = vec![0; 16 * 1024];
            let length = (&*self.stream).read(&mut chunk)?;
            if length == 0 {
                return Ok(None);
            }
            self.buffer.extend_from_slice(&chunk[..length]);
        }
    }

    fn end(&mut self) -> Option<usize> {
        if self.buffer.is_empty() {
            return None;
        }
        if self.resp && self.buffer[0].is_ascii_alphabetic() {
            // A request in the inline form, e.g. "PING".
            return self.buffer.iter().position(|&byte| byte == b'\n').map(|end| end + 1);
        }
        if self.resp {
            match self.framer.end(&self.buffer) {
                Ok(end) => return end,
                Err(_) => self.resp = false,
            }
        }
        Some(self.buffer.len())
    }
}

/// Writes to the client, in the order in which it asked.
struct Writer {
    id: u64,
    client: Arc<TcpStream>,
    shared: Arc<Shared>,
    waiting: VecDeque<Waiting>,
    resp: bool,
    /// Nothing more is ever written.
    mute: bool,
}

/// A request that was not answered yet.
enum Waiting {
    ForServer { command: String },
    ForItsTurn(Vec<u8>),
}

/// The connection is over, and how it ended was seen to.
struct Over;

impl Writer {
    fn run(mut self, inbox: &Receiver<Event>) {
        for event in inbox {
            let step = match event {
                Event::Asked { command } => {
                    self.waiting.push_back(Waiting::ForServer { command });
                    Ok(())
                }
                Event::Answered(bytes) => {
                    self.waiting.push_back(Waiting::ForItsTurn(bytes));
                    self.answer_whose_turn_it_is()
                }
                Event::NoLongerResp => {
                    self.resp = false;
                    Ok(())
                }
                Event::FromServer { message, came } => self.pass(&message, came),
                Event::End => break,
            };
            if step.is_err() {
                break;
            }
        }
        self.shared.close_connection(self.id);
    }

    fn pass(&mut self, message: &[u8], came: Instant) -> Result<(), Over> {
        let pushed = self.resp && message.first() == Some(&b'>');
        let command = if pushed { None } else { self.next_command() };
        let asked_for = command.is_some() || (!self.resp && !pushed);
        let command = command.unwrap_or_default();
        if self.mute {
            return Ok(());
        }
        self.reply(message, came, &command, asked_for)?;
        self.answer_whose_turn_it_is()
    }

    /// To which command the next reply belongs.
    fn next_command(&mut self) -> Option<String> {
        match self.waiting.pop_front()? {
            Waiting::ForServer { command } => Some(command),
            own @ Waiting::ForItsTurn(_) => {
                self.waiting.push_front(own);
                None
            }
        }
    }

    fn answer_whose_turn_it_is(&mut self) -> Result<(), Over> {
        while !self.mute
            && let Some(Waiting::ForItsTurn(bytes)) = self.waiting.front_mut()
        {
            let bytes = mem::take(bytes);
            self.waiting.pop_front();
            self.shared.wait_while_held(self.id, "");
            self.write(&bytes)?;
        }
        Ok(())
    }

    fn reply(
        &mut self,
        message: &[u8],
        came: Instant,
        command: &str,
        asked_for: bool,
    ) -> Result<(), Over> {
        self.shared.wait_while_held(self.id, command);
        match self.shared.take_for_reply(command, asked_for) {
            Some((Kind::Cut { after, then }, _)) => {
                return self.cut(&message[..after.min(message.len())], then);
            }
            Some((Kind::Replace(bytes), _)) => return self.write(&bytes),
            Some((Kind::Delay(delay), generation)) => {
                self.shared.wait_until(self.id, came + delay, generation);
                self.write(message)?;
            }
            Some((Kind::Bandwidth(rate), generation)) => self.trickle(message, rate, generation)?,
            _ => self.write(message)?,
        }
        self.shared.counters().replies.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn cut(&mut self, start: &[u8], then: Then) -> Result<(), Over> {
        self.write(start)?;
        match then {
            Then::Silence => {
                self.mute = true;
                return Ok(());
            }
            Then::Reset => self.shared.reset_connection(self.id),
            Then::Close => self.shared.close_connection(self.id),
        }
        Err(Over)
    }

    /// The rest at once when something else is set meanwhile.
    fn trickle(&mut self, message: &[u8], rate: u32, generation: u64) -> Result<(), Over> {
        let size = (rate / SHARES_PER_SECOND).max(1);
        let mut due = Instant::now();
        for share in message.chunks(size as usize) {
            // It is due when its last byte would have come through.
            due += Duration::from_secs(1) * size / rate;
            self.shared.wait_until(self.id, due, generation);
            self.write(share)?;
        }
        Ok(())
    }

    fn write(&self, bytes: &[u8]) -> Result<(), Over> {
        (&*self.client).write_all(bytes).map_err(|_| Over)
    }
}

/// The name of a request's command, in capitals; empty if there is none.
fn command_of(request: &[u8]) -> String {
    let name = if request.first() == Some(&b'*') {
        bulk_strings(request).ok().and_then(|words| words.into_iter().next())
    } else {
        let mut words = request.split(u8::is_ascii_whitespace);
        words.next().map(<[u8]>::to_vec)
    };
    String::from_utf8_lossy(&name.unwrap_or_default()).to_ascii_uppercase()
}

/// Commands after which a stream follows that is not made of replies.
fn changes_protocol(command: &str) -> bool {
    ["PSYNC", "SYNC", "MONITOR"].contains(&command)
}

/// Commands whose replies come as messages that nobody waits for, one for each channel.
fn has_no_reply(command: &str) -> bool {
    command.ends_with("SUBSCRIBE")
}
