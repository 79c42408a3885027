//! The daemon: the same passes as `once`, each in a supervised task, until a signal.

mod loops;
mod reload;
mod systemd;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::NaiveDate;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use crate::clock::SharedClock;
use crate::config::Settings;
use crate::logging;
use crate::mail::{self, Mailer};
use crate::passes::{Membership, PassError, Watcher};
use crate::store::{OpenError, Store, StoreLock, try_lock};
use crate::web::{self, listen};
use loops::{Wake, deliver_loop, hear_loop, poll_loop, read_loop};

pub use reload::Reloads;

/// How long the steps in hand may take once asked to stop.
const STOP_PATIENCE: Duration = Duration::from_secs(4);
/// How long a mail past its final dot may take beyond that: to cut it off is to send it twice.
const LAST_ANSWER: Duration = Duration::from_secs(60);
/// How long writing the last counts may take.
const LAST_COUNTS: Duration = Duration::from_secs(1);
/// How long is left for closing the store.
const CLOSING: Duration = Duration::from_secs(5);

/// Runs until SIGTERM or SIGINT; takes up a new configuration at SIGHUP.
///
/// # Errors
/// When the store or a listener cannot be had, or a task ends unasked.
pub async fn run(
    settings: Arc<Settings>,
    mut reloads: Reloads,
    clock: SharedClock,
    since: Option<NaiveDate>,
) -> Result<(), PassError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(anyhow::Error::from)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(anyhow::Error::from)?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let mut stop = std::pin::pin!(stop);
    mail::check_sandbox(&settings.mail).map_err(PassError::Config)?;
    let Some(_lock) = wait_for_lock(&settings, &clock, stop.as_mut()).await? else { return Ok(()) };
    let store = Store::open(&settings.store).await.map_err(|error| match error {
        OpenError::Absent { .. } | OpenError::Unusable { .. } => PassError::Store(error.into()),
        // No restart mends these.
        OpenError::Newer { .. } | OpenError::Broken { .. } => PassError::Config(error.to_string()),
    })?;
    let mut listeners = Listeners::default();
    listeners.follow(&settings).await.map_err(PassError::Outage)?;
    let membership = Membership::join(&store, &settings, "run").await?;
    let watcher = open_watcher(settings, &store, &clock).await?;
    membership.depend_on(&watcher);
    let since = Arc::new(Mutex::new(since));
    let mut turn = Turn::begin(watcher, &listeners, since.clone()).await?;
    tracing::info!("watching, store {}", store.place());
    systemd::ready();

    let ended = loop {
        let ended = tokio::select! {
            () = stop.as_mut() => break None,
            ended = turn.tasks.join_next() => Some(ended),
            () = reloads.asked_for() => None,
        };
        if ended.is_some() {
            break ended;
        }
        systemd::reloading();
        match take_up(&reloads, &turn.watcher, &mut listeners).await {
            Ok(watcher) => {
                let is_to_stop = {
                    let mut end = std::pin::pin!(turn.end());
                    tokio::select! {
                        () = &mut end => false,
                        () = stop.as_mut() => {
                            systemd::stopping();
                            systemd::extend_timeout(LAST_ANSWER + CLOSING);
                            end.await;
                            true
                        }
                    }
                };
                if is_to_stop {
                    break None;
                }
                membership.depend_on(&watcher);
                turn = Turn::begin(watcher, &listeners, since.clone()).await?;
                tracing::info!("the new configuration is in force");
            }
            Err(faults) => {
                for fault in &faults {
                    tracing::error!("{fault}");
                }
                tracing::error!("the new configuration is refused, the old one stays in force");
                systemd::status(&format!("the new configuration is refused: {}", faults.join("; ")));
            }
        }
        systemd::ready();
    };
    systemd::stopping();
    if ended.is_none() {
        tracing::info!("stopping");
    }
    turn.end().await;
    // Where the store is out of reach, the lease says it.
    let _ = tokio::time::timeout(LAST_COUNTS, membership.leave()).await;
    store.close().await;
    match ended.flatten() {
        None => Ok(()),
        Some(Ok(())) => Err(anyhow::anyhow!("a task ended unasked").into()),
        Some(Err(error)) => Err(anyhow::anyhow!("a task ended unasked: {error}").into()),
    }
}

/// The lock of the store, once whoever holds it ends; `None` when asked to stop before.
async fn wait_for_lock(
    settings: &Settings,
    clock: &SharedClock,
    mut stop: impl Future<Output = ()> + Unpin,
) -> Result<Option<StoreLock>, PassError> {
    loop {
        if let Some(lock) = try_lock(&settings.store)? {
            return Ok(Some(lock));
        }
        tracing::warn!("another edgar-watch works on this store: waiting for it to end");
        tokio::select! {
            () = &mut stop => return Ok(None),
            () = clock.sleep(Duration::from_secs(10)) => {}
        }
    }
}

async fn open_watcher(settings: Arc<Settings>, store: &Store, clock: &SharedClock) -> Result<Arc<Watcher>, PassError> {
    let watcher = Arc::new(Watcher::new(settings, store.clone(), Arc::new(store.clone()), clock.clone())?);
    watcher.check_keys().await?;
    Ok(watcher)
}

/// A watcher by the configuration as it stands now, where all that it takes can be had; the one at work is left alone.
async fn take_up(reloads: &Reloads, at_work: &Watcher, listeners: &mut Listeners) -> Result<Arc<Watcher>, Vec<String>> {
    let told = |error: PassError| vec![error.to_string()];
    let settings = reloads.read(&at_work.settings)?;
    mail::check_sandbox(&settings.mail).map_err(|reason| vec![reason])?;
    let mailers = settings.mail.routes.iter().map(|route| Mailer::for_relay(&route.smtp));
    for mailer in std::iter::once(Mailer::new(&settings.mail)).chain(mailers) {
        mailer.map_err(|error| vec![format!("{error:#}")])?;
    }
    let watcher = open_watcher(settings, &at_work.store, &at_work.clock).await.map_err(told)?;
    listeners.follow(&watcher.settings).await.map_err(|error| vec![error])?;
    logging::set_level(watcher.settings.log_level);
    Ok(watcher)
}

/// The sockets that are listened on. They outlive a configuration, so that nobody is turned away meanwhile.
#[derive(Debug, Default)]
struct Listeners {
    pages: Option<(SocketAddr, Arc<TcpListener>)>,
    admin: Option<(SocketAddr, Arc<TcpListener>)>,
}

impl Listeners {
    /// Listens where a configuration wants it. Where one cannot be had, all stays as it was.
    async fn follow(&mut self, settings: &Settings) -> Result<(), String> {
        let pages = Self::one("http.listen", &self.pages, settings.http.as_ref().map(|http| http.listen), true).await?;
        let admin = Self::one("http.admin_listen", &self.admin, settings.admin_listen, false).await?;
        (self.pages, self.admin) = (pages, admin);
        Ok(())
    }

    async fn one(
        key: &'static str,
        open: &Option<(SocketAddr, Arc<TcpListener>)>,
        wanted: Option<SocketAddr>,
        may_be_handed: bool,
    ) -> Result<Option<(SocketAddr, Arc<TcpListener>)>, String> {
        let Some(address) = wanted else { return Ok(None) };
        if let Some((_, listener)) = open.as_ref().filter(|(known, _)| *known == address) {
            return Ok(Some((address, listener.clone())));
        }
        let listener = listen(key, address, may_be_handed).await.map_err(|error| error.to_string())?;
        Ok(Some((address, Arc::new(listener))))
    }
}

/// The tasks at work under one configuration.
struct Turn {
    watcher: Arc<Watcher>,
    wake: Arc<Wake>,
    stopping: watch::Sender<bool>,
    tasks: JoinSet<()>,
    /// All but the one that delivers.
    others: Vec<AbortHandle>,
}

impl Turn {
    async fn begin(
        watcher: Arc<Watcher>,
        listeners: &Listeners,
        since: Arc<Mutex<Option<NaiveDate>>>,
    ) -> Result<Self, PassError> {
        watcher.take_up_after_upgrade().await?;
        let wake = Arc::new(Wake::default());
        let (stopping, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let mut others = vec![
            tasks.spawn(poll_loop(watcher.clone(), wake.clone(), stopped.clone(), since)),
            tasks.spawn(read_loop(watcher.clone(), wake.clone(), stopped.clone())),
            tasks.spawn(feed_watchdog(watcher.clone(), stopped.clone())),
            tasks.spawn(hear_loop(watcher.store.clone(), wake.clone(), stopped.clone())),
        ];
        if let Some((_, listener)) = &listeners.pages {
            let (site, wishes) = watcher.site()?;
            if let Ok(address) = listener.local_addr() {
                tracing::info!("pages are served on {address}");
            }
            let pages = web::router(&site);
            let proxies = site.trusted_proxies().to_vec();
            others.push(tasks.spawn(web::serve(listener.clone(), pages, proxies, stopped.clone())));
            let wake = wake.clone();
            others.push(tasks.spawn(web::fulfil(site, wishes, stopped.clone(), move || wake.mailer.notify_one())));
        }
        if let Some((address, listener)) = &listeners.admin {
            tracing::info!("metrics and health are served on {address}");
            let pages = web::admin_router(watcher.clone());
            others.push(tasks.spawn(web::serve(listener.clone(), pages, Vec::new(), stopped.clone())));
        }
        tasks.spawn(deliver_loop(watcher.clone(), wake.clone(), stopped));
        Ok(Self { watcher, wake, stopping, tasks, others })
    }

    /// Lets the steps in hand finish. What is under way is on disk or will be done again, so whoever does not finish soon
    /// is cut off, but for mails that the other side may be taking.
    async fn end(&mut self) {
        self.wind_down().await;
        // A store that is held by another must not hold up the stop: the counts of the last minute are worth less.
        let _ = tokio::time::timeout(LAST_COUNTS, self.watcher.write_metrics(true)).await;
    }

    async fn wind_down(&mut self) {
        self.watcher.stop();
        // Nobody listens only when every task has ended.
        let _ = self.stopping.send(true);
        self.wake.all();
        if self.end_within(STOP_PATIENCE).await {
            return;
        }
        self.others.iter().for_each(AbortHandle::abort);
        self.watcher.cut_short();
        // One that has nothing in the other side's hands ends at once.
        if self.end_within(Duration::from_millis(500)).await {
            return;
        }
        tracing::warn!("a mail is past its final dot: waiting {} s for the answer", LAST_ANSWER.as_secs());
        systemd::extend_timeout(LAST_ANSWER + CLOSING);
        if !self.end_within(LAST_ANSWER).await {
            tracing::error!("no answer: the mail goes out again under the same Message-ID");
            self.tasks.shutdown().await;
        }
    }

    async fn end_within(&mut self, patience: Duration) -> bool {
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        // A limit on other processes, so it runs on the machine's clock.
        tokio::time::timeout(patience, ended).await.is_ok()
    }
}

async fn feed_watchdog(watcher: Arc<Watcher>, mut stopped: watch::Receiver<bool>) {
    tokio::select! {
        () = systemd::feed_watchdog(&watcher.progress) => {}
        _ = stopped.changed() => {}
    }
}
