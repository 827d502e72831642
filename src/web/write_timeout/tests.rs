use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, sleep},
};

use super::*;

#[tokio::test(start_paused = true)]
async fn write_fails_when_client_stops_reading() {
    let (_client, server) = tokio::io::duplex(16);
    let begun = Instant::now();
    let error = WriteTimeout::new(server).write_all(&[0; 100]).await;
    assert_eq!(error.unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_eq!(begun.elapsed().as_secs(), LIMIT.as_secs());
}

#[tokio::test(start_paused = true)]
async fn slow_reader_gets_whole_answer() {
    let (mut client, server) = tokio::io::duplex(16);
    let mut server = WriteTimeout::new(server);
    let write = async move { server.write_all(&[1; 100]).await };
    let read = async {
        let mut bytes = Vec::new();
        while bytes.len() < 100 {
            sleep(LIMIT / 2).await;
            client.read_buf(&mut bytes).await.unwrap();
        }
    };
    let (written, ()) = tokio::join!(write, read);
    written.unwrap();
}
