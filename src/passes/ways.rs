//! The ways out: relays and webhooks. Each has connections and troubles of its own, so that one that is down holds up
//! nobody else's messages.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::config::{MailSettings, Settings, SmtpSettings, Transport};
use crate::mail::{DeliveryError, Envelope, Mailer};
use crate::webhook::{WEBHOOK, WebhookSender};

/// How long a way out that was found closed is not tried again.
const CLOSED_FOR: TimeDelta = TimeDelta::seconds(5);
/// Messages that are ready for each lane, at most: what is written in one commit, and what a process that dies leaves
/// counted as tried.
const READY_PER_LANE: usize = 16;
/// Folders and sendmail take one mail after the other quickly enough; each webhook has one recipient.
const OTHER_LANES: usize = 4;

/// A way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// The transport of `[mail]`.
    Mail,
    /// A relay for some domains, by its place.
    Route(usize),
    /// A webhook, by its place.
    Webhook(usize),
    /// A webhook that is no longer configured.
    Nowhere,
}

/// The way that a message takes.
pub(super) fn way_of(settings: &Settings, recipient: &str) -> Way {
    if let Some(name) = recipient.strip_prefix(WEBHOOK) {
        let place = settings.webhooks.iter().position(|webhook| webhook.name == name);
        return place.map_or(Way::Nowhere, Way::Webhook);
    }
    let domain = recipient.rsplit('@').next().unwrap_or_default().to_lowercase();
    let is_for = |wanted: &String| *wanted == domain || (wanted.starts_with('.') && domain.ends_with(wanted.as_str()));
    let place = settings.mail.routes.iter().position(|route| route.domains.iter().any(is_for));
    place.map_or(Way::Mail, Way::Route)
}

/// The relay of its own that the domain of an address has, if it has one.
pub fn relay_for<'a>(settings: &'a Settings, recipient: &str) -> Option<&'a SmtpSettings> {
    match way_of(settings, recipient) {
        Way::Route(place) => settings.mail.routes.get(place).map(|route| &route.smtp),
        _ => None,
    }
}

/// A connection, or what opens one.
#[derive(Debug)]
pub(super) enum Lane {
    /// For mail.
    Mail(Mailer),
    /// For a webhook.
    Webhook(Box<WebhookSender>),
    /// It cannot be set up: a password or a CA cannot be read.
    Broken(String),
    /// There is no way.
    Nowhere,
}

impl Lane {
    fn new(settings: &Settings, way: Way) -> Self {
        let of_mailer = |mailer: anyhow::Result<Mailer>| match mailer {
            Ok(mailer) => Self::Mail(mailer),
            Err(error) => Self::Broken(format!("{error:#}")),
        };
        match way {
            Way::Mail => of_mailer(Mailer::new(&settings.mail)),
            Way::Route(place) => of_mailer(Mailer::for_relay(&settings.mail.routes[place].smtp)),
            Way::Webhook(place) => Self::Webhook(Box::new(WebhookSender::new(&settings.webhooks[place]))),
            Way::Nowhere => Self::Nowhere,
        }
    }

    /// Hands a message over and returns the other side's last words.
    ///
    /// # Errors
    /// [`DeliveryError`].
    pub(super) async fn send(
        &mut self,
        envelope: Envelope<'_>,
        bytes: &[u8],
        at: DateTime<Utc>,
    ) -> Result<String, DeliveryError> {
        match self {
            Self::Mail(mailer) => mailer.send(envelope, bytes).await,
            Self::Webhook(sender) => {
                // Not everybody on the other side tells a repeat by its key.
                envelope.hand_over.begin();
                sender.send(envelope.message_id, bytes, at).await
            }
            Self::Broken(reason) => Err(DeliveryError::Unreachable(reason.clone())),
            Self::Nowhere => Err(DeliveryError::Permanent(format!("{} is no longer configured", envelope.to))),
        }
    }

    async fn close(&mut self) {
        if let Self::Mail(mailer) = self {
            mailer.close().await;
        }
    }
}

/// A way out within one pass.
#[derive(Debug)]
struct WayState {
    way: Way,
    idle: Vec<Lane>,
    /// Messages that are made ready, or wait for a lane.
    n_ready: usize,
    n_in_work: usize,
    n_sent: usize,
    /// The first message goes alone, to show whether the way is open.
    is_proven: bool,
    closed: Option<(DateTime<Utc>, String)>,
}

/// All ways out within one pass.
#[derive(Debug)]
pub(super) struct Ways<'a> {
    settings: &'a Settings,
    states: Vec<WayState>,
}

impl<'a> Ways<'a> {
    pub(super) fn new(settings: &'a Settings) -> Self {
        Self { settings, states: Vec::new() }
    }

    /// The place of a recipient's way.
    fn place(&mut self, recipient: &str) -> usize {
        let way = way_of(self.settings, recipient);
        if let Some(place) = self.states.iter().position(|state| state.way == way) {
            return place;
        }
        let (idle, is_proven) = (Vec::new(), false);
        self.states.push(WayState { way, idle, n_ready: 0, n_in_work: 0, n_sent: 0, is_proven, closed: None });
        self.states.len() - 1
    }

    /// Whether a message to a recipient may leave now.
    pub(super) fn has_room(&mut self, recipient: &str) -> bool {
        let place = self.place(recipient);
        let most = most_lanes(self.settings, self.states[place].way);
        let state = &self.states[place];
        state.n_in_work < if state.is_proven { most } else { 1 }
    }

    /// Reserves a place among the messages that are ready to leave on a recipient's way, if it is time to make some ready: so
    /// few are that each of its lanes soon has none.
    pub(super) fn reserve(&mut self, recipient: &str, n_reserved: &mut HashMap<usize, usize>) -> bool {
        let place = self.place(recipient);
        let n_new = n_reserved.entry(place).or_default();
        if !self.takes(&self.states[place], *n_new) {
            return false;
        }
        *n_new += 1;
        self.states[place].n_ready += 1;
        true
    }

    /// A message to a recipient waits: its way is one of those that may have room.
    pub(super) fn note(&mut self, recipient: &str) {
        self.place(recipient);
    }

    /// Whether any way takes more than what was reserved.
    pub(super) fn takes_more(&self, n_reserved: &HashMap<usize, usize>) -> bool {
        let n_new = |place| n_reserved.get(&place).copied().unwrap_or(0);
        self.states.iter().enumerate().any(|(place, state)| self.takes(state, n_new(place)))
    }

    /// Whether it is time to make one more message ready for a way, with so many just reserved. Those that are reserved together
    /// are written in one go: it begins when half of them are gone.
    fn takes(&self, state: &WayState, n_new: usize) -> bool {
        let (n_taken, most) = (self.n_taken(state), self.most_ready(state));
        n_taken < most && (n_new > 0 || n_taken <= most / 2)
    }

    /// A message that was reserved for does not leave after all.
    pub(super) fn release(&mut self, recipient: &str) {
        let place = self.place(recipient);
        self.states[place].n_ready -= 1;
    }

    /// Whether there is room for more messages than are ready: some way has, or one may turn up that was not used yet.
    pub(super) fn may_have_room(&self) -> bool {
        let n_ways = 1 + self.settings.mail.routes.len() + self.settings.webhooks.len();
        self.states.len() < n_ways || self.needs_more()
    }

    /// Whether a way that was used has few messages ready.
    pub(super) fn needs_more(&self) -> bool {
        self.states.iter().any(|state| self.takes(state, 0))
    }

    /// Messages that are ready for a way at most.
    fn most_ready(&self, state: &WayState) -> usize {
        if state.is_proven { READY_PER_LANE * most_lanes(self.settings, state.way) } else { 1 }
    }

    /// Of them, those that there are. The first message to a way goes alone.
    fn n_taken(&self, state: &WayState) -> usize {
        state.n_ready + if state.is_proven { 0 } else { state.n_in_work }
    }

    /// A lane for a recipient who was reserved for, and why its way is closed if it is. The lane used last may have a connection open.
    pub(super) fn take(&mut self, recipient: &str, now: DateTime<Utc>) -> (Lane, Option<String>, usize) {
        let place = self.place(recipient);
        let state = &mut self.states[place];
        let lane = state.idle.pop().unwrap_or_else(|| Lane::new(self.settings, state.way));
        state.n_ready -= 1;
        state.n_in_work += 1;
        let closed = state.closed.as_ref().filter(|(until, _)| now < *until).map(|(_, reason)| reason.clone());
        (lane, closed, state.n_sent)
    }

    /// Gives a lane back.
    pub(super) fn give_back(&mut self, recipient: &str, lane: Lane) {
        let place = self.place(recipient);
        self.states[place].n_in_work -= 1;
        // A file that could not be read may be readable by now.
        if !matches!(lane, Lane::Broken(_)) {
            self.states[place].idle.push(lane);
        }
    }

    /// A message was taken.
    pub(super) fn note_sent(&mut self, recipient: &str) {
        let place = self.place(recipient);
        self.states[place].n_sent += 1;
        self.states[place].is_proven = true;
    }

    /// A way led nowhere. A message that fell into silence while others were taken says nothing of it: `n_sent_before`
    /// were when it set out. Whether the way counts as closed now.
    pub(super) fn note_closed(
        &mut self,
        recipient: &str,
        reason: &str,
        at_once: bool,
        n_sent_before: usize,
        now: DateTime<Utc>,
    ) -> bool {
        let place = self.place(recipient);
        let state = &mut self.states[place];
        let is_closed = at_once || state.n_sent == n_sent_before;
        if is_closed {
            state.closed = Some((now + CLOSED_FOR, reason.to_owned()));
        }
        is_closed
    }

    /// Nobody waits for the first message of a way any longer. Whether that opened any.
    pub(super) fn open_all(&mut self) -> bool {
        let n_alone = self.states.iter().filter(|state| !state.is_proven).count();
        self.states.iter_mut().for_each(|state| state.is_proven = true);
        n_alone > 0
    }

    /// Ends open connections politely.
    pub(super) async fn close(self) {
        for lane in self.states.into_iter().flat_map(|state| state.idle) {
            let mut lane = lane;
            lane.close().await;
        }
    }
}

fn most_lanes(settings: &Settings, way: Way) -> usize {
    let of_mail = |mail: &MailSettings| match &mail.transport {
        Transport::Smtp(smtp) => smtp.connections,
        Transport::Sendmail | Transport::Folder(_) => OTHER_LANES,
    };
    match way {
        Way::Mail => of_mail(&settings.mail),
        Way::Route(place) => settings.mail.routes[place].smtp.connections,
        Way::Webhook(_) | Way::Nowhere => OTHER_LANES,
    }
}
