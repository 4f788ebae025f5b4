//! Runs a shard's loop on glommio: one io_uring executor on this thread, one task for each
//! connection. The one file that names it.
//!
//! Holds: no channel and no file of glommio's is used; what wakes the loop from other threads is a
//! socket in its ring; it never sleeps longer than the loop says. Decides nothing.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    future::{Future, poll_fn},
    io,
    os::fd::OwnedFd,
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures_io::{AsyncRead, AsyncWrite};
use glommio::{
    Latency, LocalExecutor, LocalExecutorBuilder, Placement, Shares, TaskQueueHandle, net::UnixStream,
    timer::Timer,
};
use model::Nanos;
use shard::ConnectionId;

use super::shard_loop::ShardLoop;
use crate::bell::Bell;

/// The arena that glommio registers with its rings. Sockets do not use it, so it is as small as may
/// be and fits in any limit on locked memory.
const IO_MEMORY_BYTES: usize = 64 << 10;
/// Entries of each of its rings.
const RING_DEPTH: usize = 128;
/// How soon a task that was woken runs at the latest.
const LATENCY: Duration = Duration::from_millis(1);
/// Reads of one connection after which others have their turn.
const READS_MAX: usize = 4;

/// An executor on the thread that made it.
pub(crate) struct Ring(LocalExecutor);

impl Ring {
    /// Makes the executor.
    ///
    /// # Errors
    /// If the kernel gives no ring, or locked memory is below glommio's floor of 512 KiB.
    pub(crate) fn new() -> io::Result<Self> {
        let builder = LocalExecutorBuilder::new(Placement::Unbound).name("shard");
        let made = builder.io_memory(IO_MEMORY_BYTES).ring_depth(RING_DEPTH).make();
        made.map(Self).map_err(|error| io::Error::other(error.to_string()))
    }

    /// Runs the loop until it has finished; says whether everything is in the ledger.
    ///
    /// # Errors
    /// If the process has no descriptor left.
    pub(crate) fn run(self, shard: ShardLoop) -> io::Result<bool> {
        let bell = Arc::clone(shard.bell());
        let rings = bell.fd().try_clone_to_owned()?;
        self.0.run(async move {
            let queue =
                glommio::executor().create_task_queue(Shares::default(), Latency::Matters(LATENCY), "shard");
            let main = glommio::spawn_local_into(drive(shard, bell, rings, queue), queue);
            let main = main.map_err(|error| io::Error::other(error.to_string()))?;
            Ok(main.await)
        })
    }
}

/// What the tasks of one executor share.
struct Hub {
    shard: RefCell<ShardLoop>,
    /// Tasks that wait for bytes, or to be told that there is something to send.
    waiting: RefCell<BTreeMap<ConnectionId, Waker>>,
    main: RefCell<Option<Waker>>,
}

impl Hub {
    fn wake_main(&self) {
        if let Some(main) = self.main.borrow_mut().take() {
            main.wake();
        }
    }
}

async fn drive(shard: ShardLoop, bell: Arc<Bell>, rings: OwnedFd, queue: TaskQueueHandle) -> bool {
    let mut rings: UnixStream = disk::adopt(rings);
    let (waiting, main) = (RefCell::default(), RefCell::default());
    let hub = Rc::new(Hub { shard: RefCell::new(shard), waiting, main });
    while !turn(&hub, queue) {
        bell.prepare();
        let span = {
            let shard = hub.shard.borrow();
            if shard.has_work() { Nanos(0) } else { shard.sleep() }
        };
        wait(&hub, &mut rings, Duration::from_nanos(span.0)).await;
        bell.awake();
    }
    let shard = hub.shard.borrow();
    shard.is_drained()
}

/// One turn of the loop and what came of it; true if it was the last.
fn turn(hub: &Rc<Hub>, queue: TaskQueueHandle) -> bool {
    let mut shard = hub.shard.borrow_mut();
    shard.turn();
    while let Some((id, stream)) = shard.take_opened() {
        let stream: UnixStream = disk::adopt(OwnedFd::from(stream));
        let task = glommio::spawn_local_into(serve(Rc::clone(hub), id, stream), queue);
        task.expect("the queue lives as long as the executor").detach();
    }
    while let Some(id) = shard.take_stirred() {
        if let Some(task) = hub.waiting.borrow_mut().remove(&id) {
            task.wake();
        }
    }
    shard.is_finished()
}

/// Waits until the bell rings, a task has changed something, or the time is over.
async fn wait(hub: &Hub, rings: &mut UnixStream, span: Duration) {
    let mut timer = pin!(Timer::new(span));
    let mut is_first = true;
    poll_fn(|context| {
        let mut rung = [0; 64];
        let is_rung = Pin::new(&mut *rings).poll_read(context, &mut rung).is_ready();
        let is_over = timer.as_mut().poll(context).is_ready();
        // Woken by a task, which has taken the waker with it.
        let is_told = !is_first && hub.main.borrow().is_none();
        is_first = false;
        if is_rung || is_over || is_told {
            hub.main.borrow_mut().take();
            return Poll::Ready(());
        }
        *hub.main.borrow_mut() = Some(context.waker().clone());
        Poll::Pending
    })
    .await;
}

/// Moves the bytes of one connection.
async fn serve(hub: Rc<Hub>, id: ConnectionId, mut stream: UnixStream) {
    poll_fn(|context| {
        let mut shard = hub.shard.borrow_mut();
        write(&mut shard, id, &mut stream, context);
        let (any, waits) = read(&mut shard, id, &mut stream, context);
        write(&mut shard, id, &mut stream, context);
        // Bytes that were left, or that it had no room to answer before it wrote.
        let again = !waits && shard.reads(id);
        if any {
            hub.wake_main();
        }
        if shard.is_over(id) {
            hub.wake_main();
            return Poll::Ready(());
        }
        hub.waiting.borrow_mut().insert(id, context.waker().clone());
        if again {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    })
    .await;
    hub.waiting.borrow_mut().remove(&id);
}

fn write(shard: &mut ShardLoop, id: ConnectionId, stream: &mut UnixStream, context: &mut Context<'_>) {
    while !shard.unsent(id).is_empty() {
        match Pin::new(&mut *stream).poll_write(context, shard.unsent(id)) {
            Poll::Ready(Ok(count)) if count > 0 => shard.sent(id, count),
            Poll::Ready(_) => return shard.ended(id),
            Poll::Pending => return,
        }
    }
}

/// Reads what has arrived, up to a bound; says whether there was any, and whether the task is woken
/// when more arrives.
fn read(
    shard: &mut ShardLoop,
    id: ConnectionId,
    stream: &mut UnixStream,
    context: &mut Context<'_>,
) -> (bool, bool) {
    for reads in 0..READS_MAX {
        let Some(space) = shard.space(id) else { return (reads > 0, false) };
        match Pin::new(&mut *stream).poll_read(context, space) {
            Poll::Ready(Ok(count)) if count > 0 => shard.received(id, count),
            Poll::Ready(_) => {
                shard.ended(id);
                return (true, false);
            }
            Poll::Pending => return (reads > 0, true),
        }
    }
    (true, false)
}
