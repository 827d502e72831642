//! A mail server that speaks the few commands that it takes to be given a letter.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What it received.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    pub(crate) commands: Vec<String>,
    /// The letters that it took.
    pub(crate) letters: Vec<String>,
}

struct Script {
    heard: Heard,
    /// Replies to commands that start with a word, each given once.
    replies: Vec<(&'static str, &'static str)>,
}

/// It ends with the value.
pub(crate) struct MailServer {
    pub(crate) port: u16,
    script: Arc<Mutex<Script>>,
    task: JoinHandle<()>,
}

impl MailServer {
    /// A server that takes everything but what these replies refuse, each of them once.
    pub(crate) async fn replying(replies: &[(&'static str, &'static str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let script = Arc::new(Mutex::new(Script {
            heard: Heard::default(),
            replies: replies.into(),
        }));
        let shared = script.clone();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                converse(stream, &shared).await;
            }
        });
        Self { port, script, task }
    }

    pub(crate) fn heard(&self) -> Heard {
        self.script.lock().heard.clone()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn converse(stream: TcpStream, script: &Mutex<Script>) {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 mail.test\r\n").await.unwrap();
    let mut letter: Option<String> = None;
    let mut line = String::new();
    while stream.read_line(&mut line).await.unwrap_or(0) > 0 {
        let reply = match &mut letter {
            Some(_) if line == ".\r\n" => {
                let letter = letter.take().unwrap();
                script.lock().heard.letters.push(letter);
                "250 taken".to_owned()
            }
            Some(letter) => {
                letter.push_str(line.strip_prefix('.').unwrap_or(&line));
                line.clear();
                continue;
            }
            None => script.lock().reply(line.trim_end()),
        };
        if reply.starts_with("354") {
            letter = Some(String::new());
        }
        let sent = stream.write_all(format!("{reply}\r\n").as_bytes()).await;
        if sent.is_err() || reply.starts_with("221") {
            return;
        }
        line.clear();
    }
}

impl Script {
    fn reply(&mut self, command: &str) -> String {
        self.heard.commands.push(command.to_owned());
        let scripted = self.replies.iter();
        let mut scripted = scripted.enumerate();
        if let Some((at, _)) = scripted.find(|(_, (word, _))| command.starts_with(word)) {
            return self.replies.remove(at).1.to_owned();
        }
        let word = command.split(' ').next().unwrap_or_default();
        let reply = match word {
            "EHLO" => "250-mail.test\r\n250 AUTH PLAIN LOGIN",
            "AUTH" => "235 welcome",
            "MAIL" | "RCPT" => "250 fine",
            "DATA" => "354 go on",
            "QUIT" => "221 bye",
            _ => "502 unknown",
        };
        reply.to_owned()
    }
}
