use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::control::Control;
use super::dialogue::Verdict;
use super::mode::{Pace, Way};

const CHUNK_BYTES_MAX: usize = 16 * 1024;

/// What a direction holds at most while it is slow: beyond it the sender notices.
const CHUNKS_MAX: usize = 64;

/// Tokio's clock ticks in milliseconds; shorter pauses are spent on other tasks.
const TICK: Duration = Duration::from_millis(1);

/// The connection ends now, in both directions.
#[derive(Debug)]
pub(crate) struct Severed;

struct Chunk {
    read_at: Instant,
    /// `None` is the end of the stream.
    bytes: Option<Bytes>,
}

/// One direction of a connection.
pub(crate) struct Pump<'a, J> {
    pub(crate) way: Way,
    pub(crate) from: ReadHalf<'a>,
    pub(crate) to: WriteHalf<'a>,
    pub(crate) control: watch::Receiver<Control>,
    /// What [`closes`] said when the connection came.
    pub(crate) closes: u64,
    /// Counts the bytes, and says how many of them go on.
    pub(crate) judge: J,
}

impl<J: FnMut(&[u8]) -> Verdict> Pump<'_, J> {
    /// Runs until the sender ends its stream and all of it has arrived, or the receiver is gone.
    pub(crate) async fn run(self) -> Result<(), Severed> {
        let (chunks, queue) = mpsc::channel(CHUNKS_MAX);
        let writer = Writer {
            way: self.way,
            to: self.to,
            control: self.control,
            closes: self.closes,
        };
        let (severed, ()) = tokio::join!(read(self.from, self.judge, chunks), writer.run(queue));
        severed
    }
}

async fn read(
    mut from: ReadHalf<'_>,
    mut judge: impl FnMut(&[u8]) -> Verdict,
    chunks: mpsc::Sender<Chunk>,
) -> Result<(), Severed> {
    loop {
        let mut bytes = BytesMut::with_capacity(CHUNK_BYTES_MAX);
        // A sender that is gone without a good-bye has ended its stream too.
        let ended = from
            .read_buf(&mut bytes)
            .await
            .map_or(true, |read| read == 0);
        let verdict = judge(&bytes);
        if let Verdict::Until(end) = verdict {
            bytes.truncate(end);
        }
        let chunk = |bytes| Chunk {
            read_at: Instant::now(),
            bytes,
        };
        let sent = if ended { None } else { Some(bytes.freeze()) };
        if chunks.send(chunk(sent)).await.is_err() || ended {
            return Ok(());
        }
        if verdict != Verdict::All {
            return Err(Severed);
        }
    }
}

struct Writer<'a> {
    way: Way,
    to: WriteHalf<'a>,
    control: watch::Receiver<Control>,
    closes: u64,
}

impl Writer<'_> {
    async fn run(mut self, mut queue: mpsc::Receiver<Chunk>) {
        loop {
            let chunk = tokio::select! {
                chunk = queue.recv() => chunk,
                () = closed(&mut self.control, self.way, self.closes) => None,
            };
            let written = match chunk {
                None => false,
                Some(Chunk { read_at, bytes }) => self.pass(read_at, bytes).await,
            };
            if !written {
                break;
            }
        }
        // The receiver may be gone already: then there is nothing to end.
        drop(self.to.shutdown().await);
        // Whoever sends still must not notice.
        while queue
            .recv()
            .await
            .is_some_and(|chunk| chunk.bytes.is_some())
        {}
    }

    /// Writes them at the pace of the mode, which may change meanwhile; false if the stream has
    /// ended.
    async fn pass(&mut self, read_at: Instant, bytes: Option<Bytes>) -> bool {
        let mut left = bytes;
        loop {
            let control = *self.control.borrow_and_update();
            if closes(&control, self.way) != self.closes {
                return false;
            }
            match control.mode.pace(self.way) {
                Pace::Hold => {
                    if self.control.changed().await.is_err() {
                        return false;
                    }
                    continue;
                }
                Pace::Late(delay) => {
                    if read_at + delay > Instant::now() {
                        tokio::select! {
                            () = tokio::time::sleep_until(read_at + delay) => {}
                            _ = self.control.changed() => {}
                        }
                        continue;
                    }
                    return self.write(left.take()).await;
                }
                Pace::Free => return self.write(left.take()).await,
                Pace::Pieces { size, gap } => {
                    let Some(bytes) = &mut left else { return false };
                    let piece = bytes.split_to(size.min(bytes.len()));
                    if !self.write(Some(piece)).await {
                        return false;
                    }
                    self.pause(gap).await;
                    if left.as_ref().is_some_and(Bytes::is_empty) {
                        return true;
                    }
                }
            }
        }
    }

    async fn write(&mut self, bytes: Option<Bytes>) -> bool {
        match bytes {
            Some(bytes) => self.to.write_all(&bytes).await.is_ok(),
            None => false,
        }
    }

    async fn pause(&mut self, gap: Duration) {
        let end = Instant::now() + gap;
        if gap < TICK {
            while Instant::now() < end {
                tokio::task::yield_now().await;
            }
            return;
        }
        tokio::select! {
            () = tokio::time::sleep_until(end) => {}
            _ = self.control.changed() => {}
        }
    }
}

async fn closed(control: &mut watch::Receiver<Control>, way: Way, closes_before: u64) {
    let changed = control
        .wait_for(|control| closes(control, way) != closes_before)
        .await;
    // Without its handle the proxy ends, and takes the connection with it.
    drop(changed);
}

/// How often that way was closed on all connections.
pub(crate) fn closes(control: &Control, way: Way) -> u64 {
    match way {
        Way::Up => control.closes_up,
        Way::Down | Way::Both => control.closes_down,
    }
}
