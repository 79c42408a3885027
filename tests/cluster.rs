//! Three daemons on one PostgreSQL store, against a loopback EDGAR and a relay: the real binary, killed at its own points, frozen,
//! cut off; the server restarted, killed, made read-only and full. docs/CLUSTER.md says what is guaranteed.
//!
//! `cargo test --features fail-points --test cluster -- --nocapture` prints what each disturbance took. It starts a server of
//! its own, so it needs PostgreSQL's programs; as root it gives each daemon a network namespace of its own, joined to the others
//! by a bridge. `CLUSTER_ROUNDS=10` disturbs ten times as often.

#[path = "it/support/mod.rs"]
#[allow(dead_code)]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use chrono::Utc;
use edgar_watch::demo::edgar::{Asked, LoopbackEdgar};
use edgar_watch::store::{Store, StorePlace};
use mail_parser::MessageParser;
use rustix::process::{Pid, Signal, kill_process};
use sqlx::Connection;
use support::filings::{TestFiling, archive};
use support::smtp::{Act, Authority, FakeSmtp};
use support::{accession, store};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// The interval of polling, and so the lease.
const INTERVAL: Duration = Duration::from_secs(2);
/// Subscribers: mails for every letter.
const N_READERS: usize = 12;
/// How long anything may take that must come.
const PATIENCE: Duration = Duration::from_secs(120);
/// A mail that the relay has said yes to is on the disk this much later, unless something happens in between.
const IN_HAND: Duration = Duration::from_secs(2);

/// A command that must succeed.
async fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().await.expect(program);
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A PostgreSQL server of our own.
struct Server {
    folder: tempfile::TempDir,
    programs: PathBuf,
    address: SocketAddr,
}

impl Server {
    /// `None`, said plainly, where its programs are not installed.
    async fn start(address: IpAddr) -> Option<Self> {
        let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let programs =
            versions.map(|version| version.path().join("bin")).filter(|bin| bin.join("initdb").exists()).max();
        let Some(programs) = programs else {
            eprintln!("skipped: PostgreSQL's programs are not installed");
            return None;
        };
        let shm = Path::new("/dev/shm");
        let folder = tempfile::tempdir_in(if shm.is_dir() { shm } else { Path::new("/tmp") }).expect("a folder");
        if is_root() {
            // It does not run as root.
            run("chown", &["postgres", folder.path().to_str().expect("UTF-8")]).await;
        }
        let probe = std::net::TcpListener::bind((address, 0)).expect("a port");
        let server = Self { folder, programs, address: probe.local_addr().expect("an address") };
        drop(probe);
        let data = server.data();
        server.program("initdb", &["-D", &data, "-A", "trust", "-E", "UTF8", "--locale=C", "-U", "postgres"]).await;
        let settings = format!(
            "listen_addresses = '{address}'\nport = {}\nunix_socket_directories = ''\nmax_connections = 60\n",
            server.address.port()
        );
        let conf = Path::new(&data).join("postgresql.conf");
        let before = std::fs::read_to_string(&conf).expect("its configuration");
        std::fs::write(&conf, before + &settings).expect("a file");
        let hba = Path::new(&data).join("pg_hba.conf");
        std::fs::write(hba, "host all all 0.0.0.0/0 trust\n").expect("a file");
        server.control(&["start"]).await;
        Some(server)
    }

    fn data(&self) -> String {
        self.folder.path().join("data").to_str().expect("UTF-8").to_owned()
    }

    async fn program(&self, name: &str, args: &[&str]) {
        let program = self.programs.join(name);
        let program = program.to_str().expect("UTF-8");
        if is_root() {
            let all: Vec<&str> = ["-u", "postgres", "--", program].into_iter().chain(args.iter().copied()).collect();
            run("runuser", &all).await;
        } else {
            run(program, args).await;
        }
    }

    async fn control(&self, args: &[&str]) {
        let (data, log) = (self.data(), self.folder.path().join("log").to_str().expect("UTF-8").to_owned());
        let all: Vec<&str> = ["-D", &data, "-l", &log, "-w", "-s"].into_iter().chain(args.iter().copied()).collect();
        self.program("pg_ctl", &all).await;
    }

    fn url(&self) -> String {
        format!("postgres://postgres@{}/postgres?sslmode=disable", self.address)
    }

    async fn connect(&self) -> sqlx::PgConnection {
        // Also while it takes writes from nobody who does not ask for it.
        let url = format!("{}&options=-cdefault_transaction_read_only%3Doff", self.url());
        sqlx::PgConnection::connect(&url).await.expect("the server")
    }

    async fn ask(&self, statement: &'static str) {
        let mut connection = self.connect().await;
        sqlx::raw_sql(statement).execute(&mut connection).await.expect(statement);
        connection.close().await.expect("closed");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing of a server that goes with its folder is to be kept.
        let stop = [
            self.programs.join("pg_ctl").to_str().expect("UTF-8"),
            "-D",
            &self.data(),
            "-m",
            "immediate",
            "-s",
            "stop",
        ]
        .map(str::to_owned);
        let mut command = if is_root() {
            let mut command = std::process::Command::new("runuser");
            command.args(["-u", "postgres", "--"]).args(&stop);
            command
        } else {
            let mut command = std::process::Command::new(&stop[0]);
            command.args(&stop[1..]);
            command
        };
        let _ = command.status();
    }
}

/// Network namespaces joined by a bridge, one for each host. They go when dropped.
struct Network {
    name: String,
    n_hosts: usize,
}

impl Network {
    /// `None`, said plainly, where this machine does not allow it.
    async fn join(n_hosts: usize) -> Option<Self> {
        let network = Self { name: format!("ew{}", std::process::id() % 10_000), n_hosts };
        if !is_root() || !network.try_join().await {
            eprintln!("skipped: no network namespaces here, so no cable is cut");
            return None;
        }
        Some(network)
    }

    async fn try_join(&self) -> bool {
        let bridge = &self.name;
        let mut lines = vec![
            format!("ip link add {bridge} type bridge"),
            format!("ip addr add {}/24 dev {bridge}", self.address()),
            format!("ip link set {bridge} up"),
        ];
        for n in 0..self.n_hosts {
            let (space, outer, inner) = (self.space(n), self.cable(n), format!("{}i{n}", self.name));
            lines.extend([
                format!("ip netns add {space}"),
                format!("ip link add {outer} type veth peer name {inner}"),
                format!("ip link set {inner} netns {space}"),
                format!("ip link set {outer} master {bridge} up"),
                format!("ip -n {space} addr add {}/24 dev {inner}", self.address_of(n + 10)),
                format!("ip -n {space} link set {inner} up"),
                format!("ip -n {space} link set lo up"),
            ]);
        }
        for line in lines {
            let done = Command::new("sh").args(["-c", &line]).stderr(Stdio::null()).status().await;
            if !done.is_ok_and(|status| status.success()) {
                return false;
            }
        }
        true
    }

    /// Of the machine that all hosts reach.
    fn address(&self) -> IpAddr {
        self.address_of(0)
    }

    /// In a network that differs from one run to the next: one that was killed leaves its own behind.
    fn address_of(&self, n: usize) -> IpAddr {
        let net = u8::try_from(std::process::id() % 250).unwrap_or_default();
        IpAddr::from([10, 213, net, u8::try_from(n + 1).unwrap_or(u8::MAX)])
    }

    fn space(&self, n: usize) -> String {
        format!("{}n{n}", self.name)
    }

    fn cable(&self, n: usize) -> String {
        format!("{}o{n}", self.name)
    }

    async fn cut(&self, n: usize) {
        run("ip", &["link", "set", &self.cable(n), "down"]).await;
    }

    async fn mend(&self, n: usize) {
        run("ip", &["link", "set", &self.cable(n), "up"]).await;
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for n in 0..self.n_hosts {
            let _ =
                std::process::Command::new("ip").args(["netns", "del", &self.space(n)]).stderr(Stdio::null()).status();
        }
        let _ = std::process::Command::new("ip").args(["link", "del", &self.name]).stderr(Stdio::null()).status();
    }
}

/// A long way to the server: what passes is held back for a while, each way. (The kernels of small machines have no netem.)
struct LongWay {
    port: u16,
    delay: watch::Sender<Duration>,
}

impl LongWay {
    async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((server.ip(), 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (delay, delayed) = watch::channel(Duration::ZERO);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(server).await else { continue };
                let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                tokio::spawn(carry(near_in, far_out, delayed.clone()));
                tokio::spawn(carry(far_in, near_out, delayed.clone()));
            }
        });
        Self { port, delay }
    }
}

/// Until either side closes.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: watch::Receiver<Duration>) {
    let mut piece = [0; 16 * 1024];
    while let Ok(n) = from.read(&mut piece).await
        && n > 0
    {
        let held_back = *delay.borrow();
        tokio::time::sleep(held_back).await;
        if to.write_all(&piece[..n]).await.is_err() {
            return;
        }
    }
}

/// A daemon on a host of its own.
struct Host {
    n: usize,
    folder: tempfile::TempDir,
    child: Child,
    said: watch::Receiver<String>,
}

impl Host {
    fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        kill_process(pid.expect("it runs"), signal).expect("it is there");
    }

    async fn has_said(&mut self, words: &str) {
        let said = self.said.wait_for(|said| said.contains(words));
        let said = tokio::time::timeout(PATIENCE, said).await.map(|said| said.map(drop));
        assert!(matches!(said, Ok(Ok(()))), "host {} has not said \"{words}\": {}", self.n, *self.said.borrow());
    }

    /// SIGTERM, and to its end.
    async fn stop(mut self) {
        self.signal(Signal::TERM);
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it ends").expect("it ends");
        assert!(ended.success(), "host {}: {ended}: {}", self.n, *self.said.borrow());
    }
}

/// What was done to the hosts, and from when to when.
struct Disturbance {
    what: String,
    began: Instant,
    ended: Instant,
    /// Whether a mail that the relay was just taking may come twice: its sender was not there to note it.
    may_double: bool,
}

/// Everything that the hosts have in common.
struct World {
    server: Server,
    network: Option<Network>,
    edgar: LoopbackEdgar,
    relay: FakeSmtp,
    /// Host 2's way to the server.
    long_way: LongWay,
    /// Who has asked for the feed, and when.
    polls: watch::Receiver<Vec<(usize, Instant)>>,
    store: String,
    keys: tempfile::TempDir,
    n_filed: u32,
    letters: BTreeSet<String>,
    disturbances: Vec<Disturbance>,
    trace: tempfile::TempDir,
}

impl World {
    async fn begin() -> Option<Self> {
        let network = Network::join(3).await;
        let address = network.as_ref().map_or(IpAddr::from([127, 0, 0, 1]), Network::address);
        let server = Server::start(address).await?;
        let past = TestFiling::ordinary(1, &(Utc::now() - chrono::TimeDelta::hours(1)).to_rfc3339());
        let edgar = LoopbackEdgar::start_on(SocketAddr::new(address, 0), archive(&[past])).await.expect("a port");
        let (told, polls) = watch::channel(Vec::new());
        edgar.script(move |asked: &Asked, _| {
            if asked.target.contains("getcurrent") {
                let host =
                    asked.user_agent.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
                told.send_modify(|polls: &mut Vec<(usize, Instant)>| polls.push((host, Instant::now())));
            }
            None
        });
        let relay = FakeSmtp::scripted_on(address, |_, _| Act::Go).await;
        let store = store::new_schema(&server.url());
        let long_way = LongWay::to(server.address).await;
        let folder = || tempfile::tempdir().expect("a folder");
        Some(Self {
            server,
            network,
            edgar,
            relay,
            long_way,
            polls,
            store,
            keys: folder(),
            n_filed: 100,
            letters: BTreeSet::new(),
            disturbances: Vec::new(),
            trace: folder(),
        })
    }

    fn config(&self, n: usize) -> String {
        let (edgar, address, port) = (self.edgar.url(), self.server.address.ip(), self.relay.port());
        let (near, far) = (format!(":{}/", self.server.address.port()), format!(":{}/", self.long_way.port));
        let store = if n == 2 { self.store.replace(&near, &far) } else { self.store.clone() };
        let readers: String =
            (0..N_READERS).map(|n| format!("[[subscription]]\nemail = \"reader{n}@example.com\"\n")).collect();
        format!(
            "[edgar]\nuser_agent = \"Host {n} ops@example.com\"\nwww_url = \"{edgar}\"\ndata_url = \"{edgar}\"\n\
             max_requests_per_second = 1000\n[watch]\nissuers = [\"*\"]\n\
             [poll]\ninterval = \"{interval}s\"\noff_hours_interval = \"{interval}s\"\n\
             [store]\nurl = \"{store}\"\nkeys_file = \"{}/keys\"\nmax_connections = 8\n\
             [mail]\nfrom = \"EDGAR Watch <edgar-watch@example.com>\"\nowner = \"ops@example.com\"\n\
             [mail.smtp]\nhost = \"{address}\"\nport = {port}\n{readers}",
            self.keys.path().display(),
            interval = INTERVAL.as_secs(),
        )
    }

    /// Starts a daemon, to die at a point where one is given, and waits until it is at work.
    async fn start(&self, n: usize, dies_at: Option<&str>) -> Host {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("config.toml"), self.config(n)).expect("a file");
        let program = env!("CARGO_BIN_EXE_edgar-watch");
        let mut command = match &self.network {
            Some(network) => {
                let mut command = Command::new("ip");
                // The program takes the place of this one: its process is the child.
                command.args(["netns", "exec", &network.space(n), program]);
                command
            }
            None => Command::new(program),
        };
        command.args(["run", "--config", "config.toml"]).current_dir(folder.path()).env_remove("RUST_LOG");
        command.env("EDGAR_WATCH_PASSED", self.trace.path().join(format!("host{n}")));
        if let Some(point) = dies_at {
            command.env("EDGAR_WATCH_DIE_AT", point);
        }
        let mut child =
            command.stderr(Stdio::piped()).stdout(Stdio::null()).kill_on_drop(true).spawn().expect("it starts");
        let (say, said) = watch::channel(String::new());
        let mut lines = BufReader::new(child.stderr.take().expect("its log")).lines();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                say.send_modify(|said| {
                    said.push_str(&line);
                    said.push('\n');
                });
            }
        });
        let mut host = Host { n, folder, child, said };
        host.has_said("watching, store").await;
        host
    }

    /// Files letters, each of an issuer of its own, and something ordinary.
    fn publish(&mut self, n_letters: u32) {
        let at = Utc::now().to_rfc3339();
        for n in 0..=n_letters {
            self.n_filed += 1;
            let filing = if n < n_letters {
                TestFiling { cik: 9_980_000 + u64::from(self.n_filed), ..TestFiling::determination(self.n_filed, &at) }
            } else {
                TestFiling::ordinary(self.n_filed, &at)
            };
            if n < n_letters {
                self.letters.insert(filing.accession().to_string());
            }
            self.edgar.change(|archive| filing.publish(archive));
        }
    }

    /// Waits until every reader has every letter.
    async fn until_told(&self, hosts: &[Host]) {
        let wanted = self.letters.len() * N_READERS;
        let mut seen = 0;
        while seen < wanted {
            let n_mails = self.relay.taken().len();
            seen = self.told().len();
            if seen < wanted && tokio::time::timeout(PATIENCE, self.relay.until_seen(n_mails + 1)).await.is_err() {
                let logs: Vec<String> = hosts.iter().map(|host| host.said.borrow().clone()).collect();
                panic!("{seen} of {wanted} mails after {}: {}", self.last(), logs.join("\n--\n"));
            }
        }
    }

    /// Waits until no mail waits any more: of one that died, the relay may have had the mail.
    async fn until_settled(&self) {
        let store = Store::open_existing(&self.place()).await.expect("the store");
        let settled = async { while !store.open_messages().await.expect("the outbox").is_empty() {} };
        tokio::time::timeout(PATIENCE, settled).await.expect("every mail leaves");
        store.close().await;
    }

    fn place(&self) -> StorePlace {
        store::server_place(&self.store, self.keys.path())
    }

    fn last(&self) -> &str {
        self.disturbances.last().map_or("nothing", |disturbance| disturbance.what.as_str())
    }

    /// Every mail by whom it went to and what it tells, with when it was taken.
    fn told(&self) -> BTreeMap<(String, String), Vec<Instant>> {
        let mut told: BTreeMap<(String, String), Vec<Instant>> = BTreeMap::new();
        for taken in self.relay.taken() {
            let mail = MessageParser::default().parse(&taken.bytes).expect("a mail");
            let about = accession(&mail);
            if self.letters.contains(&about) {
                told.entry((taken.to.clone(), about)).or_default().push(taken.at);
            }
        }
        told
    }

    /// Waits until another host than this asks for the feed.
    async fn until_polled_by_another(&mut self, than: usize) -> usize {
        let n_before = self.polls.borrow().len();
        let other = self.polls.wait_for(|polls| polls[n_before..].iter().any(|(host, _)| *host != than));
        let polls = tokio::time::timeout(PATIENCE, other).await.expect("somebody polls").expect("EDGAR is there");
        polls[n_before..].iter().find(|(host, _)| *host != than).expect("another").0
    }

    /// Who polls now.
    async fn leader(&mut self) -> usize {
        let n_before = self.polls.borrow().len();
        // The second shows that the first is over.
        let next = self.polls.wait_for(|polls| polls.len() > n_before + 1);
        let polls = tokio::time::timeout(PATIENCE, next).await.expect("somebody polls").expect("EDGAR is there");
        polls.last().expect("a poll").0
    }

    fn note(&mut self, what: impl Into<String>, began: Instant, may_double: bool) {
        let what = what.into();
        let ended = Instant::now();
        println!("{:>7} ms  {what}", (ended - began).as_millis());
        self.disturbances.push(Disturbance { what, began, ended, may_double });
    }

    /// Every mail came once, but for those that were in the hands of a host when something was done to it.
    async fn judge(&self) {
        let mut doubles = 0;
        for ((to, about), taken) in self.told() {
            if taken.len() == 1 {
                continue;
            }
            let first = taken[0];
            let in_window = self
                .disturbances
                .iter()
                .any(|one| one.may_double && first + IN_HAND >= one.began && first <= one.ended);
            assert!(in_window && taken.len() == 2, "{} copies of the mail to {to} about {about}", taken.len());
            doubles += 1;
        }
        let store = Store::open_existing(&self.place()).await.expect("the store");
        let waiting = store.open_messages().await.expect("the outbox");
        assert!(waiting.is_empty(), "{waiting:#?}");
        assert_eq!(store.count_filings().await.expect("counts").get("found").copied().unwrap_or(0), 0);
        store.close().await;
        println!(
            "{} letters to {N_READERS} readers, {} disturbances: none lost, {doubles} doubles, all in the window",
            self.letters.len(),
            self.disturbances.len()
        );
    }
}

fn n_rounds() -> usize {
    std::env::var("CLUSTER_ROUNDS").ok().map_or(1, |n| n.parse().expect("CLUSTER_ROUNDS is a number"))
}

/// Where one of three is killed: what it has just written, or is about to.
const POINTS: [&str; 19] = [
    "before record a pass",
    "after record a pass",
    "before write facts",
    "before reserve a request",
    "after reserve a request",
    "before begin to read filings",
    "after begin to read filings",
    "before record a reading",
    "after record a reading",
    "before claim messages",
    "after claim messages",
    "before begin attempts",
    "after begin attempts",
    "after greeting and EHLO",
    "after the answer to MAIL",
    "after the answer to DATA",
    "after the answer to the final dot",
    "before record mails that were taken",
    "after record mails that were taken",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_point_the_others_go_on() {
    let Some(mut world) = World::begin().await else { return };
    let mut chance = fastrand::Rng::with_seed(7);
    let mut n_deaths = 0;
    // What is there when watching begins is no news.
    let first = world.start(0, None).await;
    world.leader().await;
    first.stop().await;
    for round in 0..n_rounds() {
        for point in POINTS {
            let nth = if round == 0 { 1 } else { chance.usize(1..=3) };
            // Who does what is chance: one that came to do nothing of it is asked again.
            for _ in 0..MOST_TRIES {
                if kill_at(&mut world, point, nth).await {
                    n_deaths += 1;
                    break;
                }
            }
        }
    }
    // What was in the hands of the last to die.
    let last = world.start(0, None).await;
    world.until_told(std::slice::from_ref(&last)).await;
    world.until_settled().await;
    last.stop().await;
    world.judge().await;
    let n_wanted = POINTS.len() * n_rounds();
    assert!(n_deaths * 10 >= n_wanted * 8, "{n_deaths} deaths of {n_wanted}");
}

/// How often a point is tried that was not passed.
const MOST_TRIES: usize = 3;

/// Three daemons, of which the first is to die at a point. Whether it did.
async fn kill_at(world: &mut World, point: &str, nth: usize) -> bool {
    // The first leads; its death is the worst there is.
    let mut first = world.start(0, Some(&format!("{point}#{nth}"))).await;
    let others = vec![world.start(1, None).await, world.start(2, None).await];
    let began = Instant::now();
    world.publish(2);
    let died = tokio::time::timeout(INTERVAL * 3, first.child.wait()).await.is_ok();
    if died {
        // Mails that it had in hand are sent once their next try is due: that is not waited for here.
        world.until_polled_by_another(0).await;
    }
    world.note(format!("killed {point}#{nth}{}", if died { "" } else { ": not passed" }), began, died);
    if !died {
        first.stop().await;
    }
    for other in others {
        other.stop().await;
    }
    died
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_a_host_or_the_server_nothing_is_lost() {
    let Some(mut world) = World::begin().await else { return };
    let mut hosts = Vec::new();
    for n in 0..3 {
        hosts.push(world.start(n, None).await);
    }
    // What is there when watching begins is no news.
    world.leader().await;
    world.publish(3);
    world.until_told(&hosts).await;
    for _ in 0..n_rounds() {
        // Killed: another polls before two intervals are over.
        let leader = world.leader().await;
        world.publish(3);
        let began = Instant::now();
        hosts[leader].signal(Signal::KILL);
        let other = world.until_polled_by_another(leader).await;
        let took = began.elapsed();
        assert!(took <= INTERVAL * 2, "{took:?}, from host {leader} to host {other}");
        world.until_told(&hosts).await;
        world.note(format!("killed the one that polls: another polled after {} ms", took.as_millis()), began, true);
        hosts[leader] = world.start(leader, None).await;

        // Frozen beyond its lease: it comes back, and has missed nothing and repeats nothing.
        let leader = world.leader().await;
        let began = Instant::now();
        world.publish(3);
        hosts[leader].signal(Signal::STOP);
        world.until_polled_by_another(leader).await;
        let took = began.elapsed();
        assert!(took <= INTERVAL * 2, "{took:?}");
        world.until_told(&hosts).await;
        hosts[leader].signal(Signal::CONT);
        hosts[leader].has_said("another process polls").await;
        world.note(format!("froze the one that polls: another polled after {} ms", took.as_millis()), began, true);

        if let Some(network) = world.network.take() {
            let leader = world.leader().await;
            let began = Instant::now();
            world.publish(3);
            network.cut(leader).await;
            world.until_polled_by_another(leader).await;
            let took = began.elapsed();
            assert!(took <= INTERVAL * 2, "{took:?}");
            world.until_told(&hosts).await;
            if n_rounds() > 1 {
                // Until what was under way has been given up, and another try as well.
                hosts[leader].has_said("become the one that polls: ").await;
            }
            network.mend(leader).await;
            world.network = Some(network);
            world.note(
                format!("cut off the one that polls: another polled after {} ms", took.as_millis()),
                began,
                true,
            );
        }

        // Far from the server, whether it polls or follows.
        let began = Instant::now();
        world.long_way.delay.send_replace(Duration::from_millis(150));
        world.publish(3);
        world.until_told(&hosts).await;
        world.long_way.delay.send_replace(Duration::ZERO);
        world.note("held back every word of one host for 150 ms", began, false);

        // What happens to the server is no host's death: whoever has sent a mail is there to note it.
        world.publish(3);
        let began = Instant::now();
        world.relay.until_seen(world.relay.taken().len() + 1).await;
        world.server.control(&["-m", "fast", "restart"]).await;
        world.until_told(&hosts).await;
        world.note("restarted the server while mails left", began, false);

        world.publish(3);
        let began = Instant::now();
        world.server.control(&["-m", "immediate", "stop"]).await;
        world.server.control(&["start"]).await;
        world.until_told(&hosts).await;
        world.note("killed the server, which recovered from its log", began, false);

        world.publish(3);
        let began = Instant::now();
        world.server.ask("ALTER SYSTEM SET default_transaction_read_only = on").await;
        world.server.ask("SELECT pg_reload_conf()").await;
        world.publish(3);
        hosts[0].has_said("the server is read-only").await;
        world.server.ask("ALTER SYSTEM RESET default_transaction_read_only").await;
        world.server.ask("SELECT pg_reload_conf()").await;
        world.until_told(&hosts).await;
        world.note("made the server read-only for a while", began, false);

        let began = Instant::now();
        let mut held = Vec::new();
        world
            .server
            .ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'edgar-watch'")
            .await;
        while let Ok(connection) = sqlx::PgConnection::connect(&world.server.url()).await {
            held.push(connection);
        }
        world.publish(3);
        world.leader_or_nobody().await;
        for connection in held {
            connection.close().await.expect("closed");
        }
        world.until_told(&hosts).await;
        world.note("took every connection that the server has", began, false);
    }
    world.until_settled().await;
    // As all of them see it.
    let shown = Command::new(env!("CARGO_BIN_EXE_edgar-watch"))
        .args(["status", "--json", "--config", "config.toml"])
        .current_dir(hosts[0].folder.path())
        .output()
        .await
        .expect("the binary runs");
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    let members = shown["members"].as_array().expect("members");
    assert_eq!(members.len(), 3, "{members:?}");
    assert_eq!(members.iter().filter(|member| member["polls"] == serde_json::json!(true)).count(), 1);
    for host in hosts {
        let said = host.said.borrow().clone();
        assert!(!said.contains("panicked"), "{said}");
        host.stop().await;
    }
    world.judge().await;
}

impl World {
    /// Waits for a poll, or for as long as one may take.
    async fn leader_or_nobody(&mut self) {
        let n_before = self.polls.borrow().len();
        let next = self.polls.wait_for(|polls| polls.len() > n_before);
        let _ = tokio::time::timeout(INTERVAL * 2, next).await;
    }
}

/// The program on a store that is reached by these keys of `[store]`: how `once` ends, and what it says.
async fn once_on(folder: &Path, edgar: &LoopbackEdgar, store: &str) -> (Option<i32>, String) {
    let url = edgar.url();
    let config = format!(
        "[edgar]\nuser_agent = \"Test Desk ops@example.com\"\nwww_url = \"{url}\"\ndata_url = \"{url}\"\n[watch]\nissuers = [\"*\"]\n\
         [store]\n{store}\nkeys_file = \"keys\"\n\
         [mail]\nfrom = \"ew@example.com\"\nowner = \"ops@example.com\"\ntransport = \"folder\"\n"
    );
    std::fs::write(folder.join("config.toml"), config).expect("a file");
    let output = Command::new(env!("CARGO_BIN_EXE_edgar-watch"))
        .args(["once", "--config", "config.toml"])
        .current_dir(folder)
        .env_remove("RUST_LOG")
        .output()
        .await
        .expect("the binary runs");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_speaks_tls_to_a_server_whose_name_it_has_verified() {
    let Some(server) = Server::start(IpAddr::from([127, 0, 0, 1])).await else { return };
    let data = PathBuf::from(server.data());
    let authority = Authority::new();
    let (certificate, key) = authority.certify("localhost");
    for (name, pem) in [("server.crt", certificate.pem()), ("server.key", key.serialize_pem())] {
        let file = data.join(name);
        std::fs::write(&file, pem).expect("a file");
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("rights");
        if is_root() {
            run("chown", &["postgres", file.to_str().expect("UTF-8")]).await;
        }
    }
    server.ask("CREATE USER ew PASSWORD 'a secret'").await;
    server.ask("CREATE DATABASE desk OWNER ew").await;
    let hba = "hostssl desk ew 127.0.0.1/32 scram-sha-256\nhost postgres postgres 127.0.0.1/32 trust\n";
    std::fs::write(data.join("pg_hba.conf"), hba).expect("a file");
    server.ask("ALTER SYSTEM SET ssl = on").await;
    server.control(&["-m", "fast", "restart"]).await;

    let edgar = LoopbackEdgar::start(archive(&[])).await.expect("a port");
    let folder = tempfile::tempdir().expect("a folder");
    let (ca, secret) = (folder.path().join("ca.pem"), folder.path().join("secret"));
    std::fs::write(&ca, authority.pem()).expect("a file");
    std::fs::write(&secret, "a secret\n").expect("a file");
    let port = server.address.port();
    let keys = |host: &str, query: &str| {
        format!("url = \"postgres://ew@{host}:{port}/desk{query}\"\npassword_file = \"secret\"")
    };
    let by_name = format!("?sslmode=verify-full&sslrootcert={}", ca.display());
    let (code, said) = once_on(folder.path(), &edgar, &keys("localhost", &by_name)).await;
    assert_eq!((code, said.as_str()), (Some(0), ""));
    // Another name than the certificate's, an authority that nobody knows, no encryption, another password.
    let (code, said) = once_on(folder.path(), &edgar, &keys("127.0.0.1", &by_name)).await;
    assert_eq!(code, Some(75), "{said}");
    let (code, said) = once_on(folder.path(), &edgar, &keys("localhost", "?sslmode=verify-full")).await;
    assert_eq!(code, Some(75), "{said}");
    let (code, said) = once_on(folder.path(), &edgar, &keys("localhost", "?sslmode=disable")).await;
    assert_eq!(code, Some(78), "{said}");
    std::fs::write(&secret, "another\n").expect("a file");
    let (code, said) = once_on(folder.path(), &edgar, &keys("localhost", &by_name)).await;
    assert_eq!(code, Some(78), "{said}");
    assert!(said.ends_with(": check the user, and store.password_file\n") && !said.contains("another"), "{said}");
}
