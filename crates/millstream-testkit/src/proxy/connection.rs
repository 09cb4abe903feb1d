use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpStream;

use super::control::{Control, Shared};
use super::dialogue::Dialogue;
use super::mode::{Mode, Way};
use super::pump::{Pump, closes};

/// Serves one client until it or the server ends, or a fault ends both.
///
/// `control` is how it was when the client came: whatever was asked for since is for it too.
pub(crate) async fn serve(client: TcpStream, shared: Arc<Shared>, control: Control) {
    let server = match control.mode {
        Mode::Refuse => None,
        // A server that accepts nobody lets everybody wait.
        _ => tokio::select! {
            server = TcpStream::connect(control.target) => server.ok(),
            () = cut(&shared, &control) => None,
        },
    };
    let Some(server) = server else {
        shared.count(|counts| {
            counts.connections += 1;
            counts.refused += 1;
        });
        reset(&client);
        return;
    };
    shared.count(|counts| {
        counts.connections += 1;
        counts.open += 1;
    });
    between(client, server, &shared, &control).await;
    shared.count(|counts| counts.open -= 1);
}

async fn between(mut client: TcpStream, mut server: TcpStream, shared: &Shared, before: &Control) {
    for stream in [&client, &server] {
        // Only pieces that travel at once arrive as pieces. A stream that is gone fails soon.
        drop(stream.set_nodelay(true));
    }
    let dialogue = Mutex::new(Dialogue::new());
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let up = Pump {
        way: Way::Up,
        from: from_client,
        to: to_server,
        control: shared.control.subscribe(),
        closes: closes(before, Way::Up),
        judge: |bytes: &[u8]| {
            shared.count(|counts| counts.bytes_up += length(bytes));
            heard(&dialogue).up(bytes, shared)
        },
    };
    let down = Pump {
        way: Way::Down,
        from: from_server,
        to: to_client,
        control: shared.control.subscribe(),
        closes: closes(before, Way::Down),
        judge: |bytes: &[u8]| {
            shared.count(|counts| counts.bytes_down += length(bytes));
            heard(&dialogue).down(bytes, shared)
        },
    };
    let cut = tokio::select! {
        _ = async { tokio::try_join!(up.run(), down.run()) } => false,
        () = cut(shared, before) => true,
    };
    if cut {
        reset(&client);
        reset(&server);
    }
}

/// Waits until all connections are cut that were there `before`.
async fn cut(shared: &Shared, before: &Control) {
    let mut control = shared.control.subscribe();
    let cut = control
        .wait_for(|control| control.cuts != before.cuts)
        .await;
    drop(cut.expect("what is shared holds the sender"));
}

/// Makes the end of a stream a reset, which also throws away what is on its way.
fn reset(stream: &TcpStream) {
    // It fails on a stream that is gone: then there is nothing to reset.
    drop(stream.set_zero_linger());
}

fn heard(dialogue: &Mutex<Dialogue>) -> MutexGuard<'_, Dialogue> {
    dialogue.lock().unwrap_or_else(PoisonError::into_inner)
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).expect("a length in memory")
}
