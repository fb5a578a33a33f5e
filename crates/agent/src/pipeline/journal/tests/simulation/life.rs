use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use wire::Signal;

use super::super::super::worker::{Command, Worker};
use super::super::super::{Fsync, Journal, Options, Replay};
use super::super::batch;
use super::super::sim::Sim;
use super::world::{Destination, Settings, World};
use crate::pipeline::testing::logs;
use crate::pipeline::{
    Arrival, Budget, Door, Intake, Ledger, Origin, PipelinePlan, Pipelines, Policy, Reason, Refusal, Sender, Step,
};
use crate::settings::{GoDuration, read_text};
use crate::telemetry::{Metrics, table};

/// How a life ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fate {
    /// `kill -9`.
    Killed(Duration),
    /// `kill -9` within or after one of the operations of the disk.
    KilledAtTheDisk(usize),
    PowerFailure(Duration),
    /// A stop with so much time for the drain.
    Stopped(Duration, Duration),
    /// The last one: all is well, and everything is sent.
    InPeace,
}

impl Fate {
    pub(super) fn draw(world: &World, settings: &Settings) -> Fate {
        let after = world.milliseconds(400);
        match world.below(4) {
            0 => Fate::Killed(after),
            1 => Fate::KilledAtTheDisk(world.below(120)),
            2 if settings.durable => Fate::PowerFailure(after),
            2 => Fate::Killed(after),
            _ => Fate::Stopped(after, world.milliseconds(150)),
        }
    }
}

/// What lives and dies together.
struct Life {
    pipelines: Pipelines,
    replay: Replay,
    journal: Journal,
    metrics: Metrics,
}

const CLIENTS: usize = 3;
const EXPORTERS: [&str; 2] = ["kept", "loose"];

/// One life of the process on this disk, in a runtime of its own that ends with it.
pub(super) fn live(world: &World, settings: &Settings, disk: &Sim, fate: Fate) {
    world.tell(format!("a life: {fate:?}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let (tell, commands) = unbounded_channel();
        let options = Options {
            directory: PathBuf::from("/simulated"),
            max_bytes: settings.max_bytes,
            fsync: if settings.durable { Fsync::Always } else { Fsync::Interval },
            interval: Duration::from_millis(50),
            patience: Duration::ZERO,
        };
        let metrics = Metrics::new();
        let tell = move |command| drop(tell.send(command));
        let (journal, worker) = Journal::over(disk.clone(), "simulated", options, &metrics, Box::new(tell)).unwrap();
        let life = Life::begin(world, settings, journal, metrics, matches!(fate, Fate::InPeace));
        tokio::select! {
            biased;
            () = attend(world, worker, commands, disk) => {}
            () = life.run(world, disk, fate) => {}
        }
        // The process is gone: what it had in memory alone goes with it.
        life.note_end(world, fate);
    });
    drop(runtime);
    match fate {
        Fate::PowerFailure(_) => disk.power_failure(|below| world.below(below)),
        _ => disk.killed(),
    }
}

/// In the place of the thread: writes what comes, on a disk that takes its time. Ends in the middle of a write if that is
/// its fate.
async fn attend(world: &World, mut worker: Worker<Sim>, mut commands: UnboundedReceiver<Command>, disk: &Sim) {
    loop {
        let first = match worker.due() {
            None => commands.recv().await,
            Some(due) => timeout_at(due, commands.recv()).await.unwrap_or_default(),
        };
        let rest = std::iter::from_fn(|| commands.try_recv().ok());
        worker.round(first.into_iter().chain(rest));
        if disk.0.borrow().crashed {
            return;
        }
        sleep(world.milliseconds(4)).await;
    }
}

impl Life {
    fn begin(world: &World, settings: &Settings, journal: Journal, metrics: Metrics, calm: bool) -> Life {
        let policy = Policy {
            queue: read_text(&settings.queue).unwrap(),
            retry: read_text(&settings.retry).unwrap(),
            timeout: GoDuration::millis(80),
        };
        let sender = |name: &'static str| {
            let destination: Destination = world.destination(name, calm, settings);
            Sender::new(name, Signal::Logs, &policy, destination, &[], &metrics)
        };
        let senders = vec![sender("kept").kept_in(Some(journal.clone())), sender("loose")];
        let step = || {
            let config: batch::Config = read_text(settings.batch.as_ref()?).unwrap();
            let metrics = metrics.clone();
            Some(Step::Gather(Box::new(move |next| config.build("batch", next, &metrics))))
        };
        let plan = |receivers: &[&str], exporters: &[&str]| {
            let texts = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
            let (receivers, exporters) = (texts(receivers), texts(exporters));
            PipelinePlan {
                id: "logs".to_owned(),
                signal: Signal::Logs,
                receivers,
                steps: step().into_iter().collect(),
                exporters,
            }
        };
        let mut plans = vec![plan(&["otlp"], &settings.exporters)];
        if settings.exporters.len() > 1 {
            plans.push(plan(&[], &["kept"]));
        }
        let door = Door::new(Budget::new(settings.budget));
        let pipelines = Pipelines::build(plans, senders, door, Ledger::new(), &metrics).unwrap();
        let replay = Replay::start(pipelines.ways(), pipelines.door().budget());
        Life { pipelines, replay, journal, metrics }
    }

    async fn run(&self, world: &World, disk: &Sim, fate: Fate) {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                tokio::spawn(client(
                    world.clone(),
                    self.pipelines.intake("otlp", Signal::Logs).unwrap(),
                    self.pipelines.ledger().clone(),
                ))
            })
            .collect();
        match fate {
            Fate::Killed(after) | Fate::PowerFailure(after) => self.trouble(world, disk, after).await,
            Fate::KilledAtTheDisk(operations) => {
                disk.0.borrow_mut().crash_in = Some(operations);
                // If it does so little, it ends otherwise.
                self.trouble(world, disk, Duration::from_millis(500)).await;
            }
            Fate::Stopped(after, drain) => {
                self.trouble(world, disk, after).await;
                clients.iter().for_each(tokio::task::JoinHandle::abort);
                for client in clients {
                    let _ = client.await;
                }
                self.stop(world, drain).await;
            }
            Fate::InPeace => {
                for client in clients {
                    client.await.unwrap();
                }
                let at_rest = async {
                    while self.pipelines.ledger().entries().iter().any(|line| line.held + line.kept > 0) {
                        sleep(Duration::from_millis(50)).await;
                    }
                };
                timeout(Duration::from_secs(600), at_rest)
                    .await
                    .unwrap_or_else(|_| panic!("it does not come to rest: {:?}", self.pipelines.ledger()));
                self.stop(world, Duration::from_secs(5)).await;
                assert_eq!(self.journal.waiting().await, [], "something stays in the journal");
            }
        }
    }

    /// Lets time pass. Now and then the disk is full or does not answer.
    async fn trouble(&self, world: &World, disk: &Sim, length: Duration) {
        let end = Instant::now() + length;
        while Instant::now() < end {
            let (calm, trouble) = (world.milliseconds(150), world.milliseconds(60));
            timeout_at(end, sleep(calm)).await.ok();
            match world.below(4) {
                0 => disk.0.borrow_mut().room = Some(world.below(2000)),
                1 => disk.0.borrow_mut().dead = true,
                _ => continue,
            }
            timeout_at(end, sleep(trouble)).await.ok();
            let mut state = disk.0.borrow_mut();
            state.room = None;
            state.dead = state.crashed;
        }
    }

    async fn stop(&self, world: &World, drain: Duration) {
        self.replay.stop();
        let drained = self.pipelines.drain(Instant::now() + drain);
        let (left, ()) = tokio::join!(drained, self.replay.stopped());
        self.journal.flush().await;
        world.tell(format!("  stopped, {left} left: {:?}", self.pipelines.ledger()));
        self.pipelines.ledger().balance().unwrap();
        assert_eq!((self.pipelines.ledger().held(), self.pipelines.door().budget().usage()), (0, 0));
        for name in EXPORTERS {
            let lines = self.pipelines.ledger().entries().into_iter().filter(|line| line.exporter == name);
            let sent: u64 = lines.map(|line| line.sent).sum();
            assert_eq!(
                world.answered(name),
                sent,
                "{name}: what was answered with success is what the books call sent"
            );
        }
    }

    /// What the books say at the end.
    fn note_end(&self, world: &World, fate: Fate) {
        let stopped = matches!(fate, Fate::Stopped(..) | Fate::InPeace);
        for line in self.pipelines.ledger().entries() {
            assert_eq!((line.dropped(Reason::Unaccounted), line.dropped(Reason::Damaged)), (0, 0), "{line:?}");
            assert!(line.balances(), "{line:?}");
            let name = EXPORTERS.into_iter().find(|name| *name == line.exporter).unwrap();
            world.may_be_lost(name, line.held + line.dropped_in_all());
        }
        if !stopped {
            for name in EXPORTERS {
                let _what_was_answered_dies_with_the_books = world.answered(name);
            }
        }
        let replayed = self.metrics.value(&table::JOURNAL_REPLAYED, &[("storage", "simulated")]).unwrap_or_default();
        world.count(|figures| {
            figures.crashes += u64::from(!stopped);
            figures.stops += u64::from(stopped);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
            let replayed = replayed as u64;
            figures.replayed += replayed;
        });
    }
}

/// Sends a few requests, each again until it is acknowledged, refused for good or given up; hangs up now and then.
async fn client(world: World, intake: Intake, ledger: Ledger) {
    for _ in 0..1 + world.below(12) {
        sleep(world.milliseconds(40)).await;
        let items = world.items(1 + world.below(12));
        for _ in 0..1 + world.below(6) {
            let answer = offer(&world, &intake, items.clone()).await;
            ledger.balance().unwrap();
            match answer {
                Some(Ok(())) => {
                    world.acknowledged(items.clone());
                    break;
                }
                Some(Err(refusal)) => {
                    world.count(|figures| figures.refused_offers += 1);
                    if !refusal.is_retryable() {
                        break;
                    }
                }
                None => {}
            }
            sleep(world.milliseconds(60)).await;
        }
    }
}

/// One request; `None` if the client did not wait for the answer.
async fn offer(world: &World, intake: &Intake, items: std::ops::Range<u64>) -> Option<Result<(), Refusal>> {
    let bytes = logs(items.clone());
    let hold = match intake.admit(&Origin::default(), bytes.len()) {
        Ok(hold) => hold,
        Err(refusal) => return Some(Err(refusal)),
    };
    world.offered(items.clone());
    let many = usize::try_from(items.end - items.start).unwrap();
    let accepting =
        intake.accept(Arrival { signal: Signal::Logs, bytes, items: many, origin: Origin::default(), hold });
    let patience = if world.once_in(12) { world.milliseconds(8) } else { Duration::from_secs(60) };
    timeout(patience, accepting).await.ok()
}
