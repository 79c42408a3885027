//! Who asks, and how often. Addresses are taken from the connection; from a header only where a trusted proxy wrote it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use ipnet::IpNet;

/// The address that a request comes from: the last in X-Forwarded-For that no trusted proxy has, where a trusted proxy
/// hands it on.
pub fn client_address(peer: IpAddr, forwarded_for: &[&str], trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    let hops = forwarded_for.iter().flat_map(|line| line.split(',')).map(str::trim);
    for hop in hops.collect::<Vec<_>>().into_iter().rev() {
        if !is_trusted(&client) {
            break;
        }
        match hop.parse::<IpAddr>() {
            Ok(address) => client = address.to_canonical(),
            // What a proxy did not understand is not worth guessing.
            Err(_) => break,
        }
    }
    client
}

/// The network that an address counts with: whoever has one address of it is likely to have others.
pub(super) fn network_of(address: IpAddr) -> IpNet {
    let address = address.to_canonical();
    let bits = if address.is_ipv4() { 24 } else { 48 };
    IpNet::new(address, bits).map_or_else(|_| IpNet::from(address), |network| network.trunc())
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// A page was asked for.
    Look,
    /// A form was posted.
    Post,
    /// Somebody asked for a mail.
    Mail,
}

impl Action {
    /// So many at once, and so long until one more.
    fn allowance(self) -> (f64, TimeDelta) {
        match self {
            Self::Look => (300.0, TimeDelta::milliseconds(200)),
            Self::Post => (60.0, TimeDelta::seconds(5)),
            Self::Mail => (10.0, TimeDelta::minutes(6)),
        }
    }
}

/// What is left of an allowance, with what was gained since.
fn left_now(action: Action, (left, at): Left, now: DateTime<Utc>) -> f64 {
    let (most, each) = action.allowance();
    (left + (now - at).as_seconds_f64().max(0.0) / each.as_seconds_f64()).min(most)
}

/// More networks than this are not remembered: the fullest allowances go first.
const MOST_NETWORKS: usize = 20_000;

/// What a network had left of an allowance, and when.
type Left = (f64, DateTime<Utc>);

/// What is left of each network's allowance.
#[derive(Debug, Default)]
pub struct Allowances {
    left: Mutex<HashMap<(IpNet, Action), Left>>,
}

impl Allowances {
    /// Takes one from an address's allowance; `false` when none is left.
    pub fn take(&self, address: IpAddr, action: Action, now: DateTime<Utc>) -> bool {
        let mut known = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_NETWORKS {
            known.retain(|(_, action), state| left_now(*action, *state, now) < action.allowance().0);
        }
        let key = (network_of(address), action);
        // When all that room does not suffice, nobody new is let in.
        if known.len() >= MOST_NETWORKS && !known.contains_key(&key) {
            return false;
        }
        let state = known.entry(key).or_insert((action.allowance().0, now));
        let left = left_now(action, *state, now);
        let is_allowed = left >= 1.0;
        *state = (if is_allowed { left - 1.0 } else { left }, now);
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    #[test]
    fn only_a_trusted_proxy_says_who_asks() {
        let trusted: Vec<IpNet> =
            ["127.0.0.1/32", "10.0.0.0/8"].iter().map(|net| net.parse().expect("a net")).collect();
        let check = |peer: &str, header: &[&str], expected: &str| {
            assert_eq!(client_address(ip(peer), header, &trusted), ip(expected), "{peer} {header:?}");
        };
        check("192.0.2.1", &["198.51.100.7"], "192.0.2.1");
        check("127.0.0.1", &["198.51.100.7"], "198.51.100.7");
        check("127.0.0.1", &["203.0.113.9, 198.51.100.7, 10.1.2.3"], "198.51.100.7");
        check("127.0.0.1", &["203.0.113.9", "198.51.100.7"], "198.51.100.7");
        check("127.0.0.1", &["garbage"], "127.0.0.1");
        check("::ffff:127.0.0.1", &["198.51.100.7"], "198.51.100.7");
        check("127.0.0.1", &[], "127.0.0.1");
    }

    #[test]
    fn a_network_has_one_allowance() {
        let allowances = Allowances::default();
        let now: DateTime<Utc> = "2026-11-23T12:00:00Z".parse().expect("an instant");
        let n_allowed =
            (0..=255_u8).filter(|last| allowances.take([192, 0, 2, *last].into(), Action::Mail, now)).count();
        assert_eq!(n_allowed, 10);
        assert!(allowances.take(ip("192.0.3.1"), Action::Mail, now), "another network");
        assert!(allowances.take(ip("192.0.2.1"), Action::Look, now), "another action");
        assert!(allowances.take(ip("192.0.2.1"), Action::Mail, now + TimeDelta::minutes(6)), "one more later");
        assert!(!allowances.take(ip("192.0.2.1"), Action::Mail, now + TimeDelta::minutes(6)));
        assert!(
            !allowances.take(ip("192.0.2.1"), Action::Mail, now - TimeDelta::days(1)),
            "a clock set back gives nothing"
        );
    }
}
