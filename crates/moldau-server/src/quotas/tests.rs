use super::*;

const WINDOWS: QuotaWindows = QuotaWindows {
    count: 11,
    size_ms: 1000,
};

fn quotas(clients: &[(&str, &str, f64)]) -> Quotas {
    let quotas = Quotas::new(WINDOWS, WINDOWS);
    change(&quotas, clients);
    quotas
}

fn change(quotas: &Quotas, clients: &[(&str, &str, f64)]) {
    let name = |text: &str| match text {
        "" => QuotaName::Any,
        "*" => QuotaName::Default,
        name => QuotaName::Named(name.to_owned()),
    };
    let quota = |kind: QuotaKind, (user, client_id, limit): &(&str, &str, f64)| ClientQuota {
        user: name(user),
        client_id: name(client_id),
        kind,
        limit: *limit,
    };
    let kinds = [
        QuotaKind::Produce,
        QuotaKind::Fetch,
        QuotaKind::Request,
        QuotaKind::Mutation,
    ];
    quotas.change(&QuotaImage {
        clients: kinds
            .iter()
            .flat_map(|kind| clients.iter().map(|one| quota(*kind, one)))
            .collect(),
        connections: Vec::new(),
    });
}

fn who<'a>(user: &'a str, client_id: &'a str) -> Principal<'a> {
    Principal { user, client_id }
}

/// The limit that counts, found out by using ten thousand seconds' worth of 1 a second.
fn limit(quotas: &Quotas, user: &str, client_id: &str) -> Option<f64> {
    quotas.produce.find(who(user, client_id)).map(|(_, limit)| limit)
}

#[test]
fn the_most_specific_quota_counts() {
    let all = [
        ("alice", "app", 1.0),
        ("alice", "*", 2.0),
        ("alice", "", 3.0),
        ("*", "app", 4.0),
        ("*", "*", 5.0),
        ("*", "", 6.0),
        ("", "app", 7.0),
        ("", "*", 8.0),
    ];
    for from in 0..all.len() {
        let quotas = quotas(&all[from..]);
        assert_eq!(
            limit(&quotas, "alice", "app"),
            Some(all[from].2),
            "without the first {from}"
        );
    }
    let quotas = quotas(&all);
    assert_eq!(limit(&quotas, "alice", "other"), Some(2.0));
    assert_eq!(limit(&quotas, "bob", "app"), Some(4.0));
    assert_eq!(limit(&quotas, "bob", "other"), Some(5.0));
    assert_eq!(
        limit(&quotas, "bob", ""),
        Some(6.0),
        "who has no id is no client by default"
    );
}

#[test]
fn a_quota_of_another_binds_nobody() {
    let quotas = quotas(&[("alice", "app", 1.0), ("", "tool", 1.0)]);
    assert_eq!(limit(&quotas, "alice", "other"), None);
    assert_eq!(limit(&quotas, "bob", "app"), None);
    assert_eq!(quotas.produced(who("bob", "app"), 1 << 30, 0), 0);
}

#[test]
fn a_name_cannot_pretend_to_be_two() {
    let quotas = quotas(&[("a", "", 1.0)]);
    assert_eq!(limit(&quotas, "a\0-", "x"), None);
}

#[test]
fn clients_of_a_user_share_and_clients_by_default_do_not() {
    let shared = quotas(&[("alice", "", 1000.0)]);
    assert_eq!(shared.produced(who("alice", "one"), 10_000, 0), 0);
    assert!(shared.produced(who("alice", "two"), 1_000, 0) > 0);
    let alone = quotas(&[("", "*", 1000.0)]);
    assert_eq!(alone.produced(who("alice", "one"), 10_000, 0), 0);
    assert_eq!(alone.produced(who("alice", "two"), 10_000, 0), 0);
    assert!(
        alone.produced(who("bob", "one"), 1_000, 0) > 0,
        "a client is the same for every user"
    );
}

#[test]
fn a_changed_quota_counts_at_once_for_what_was_used_before() {
    let quotas = quotas(&[("", "app", 1000.0)]);
    assert_eq!(quotas.produced(who("u", "app"), 9_000, 0), 0);
    change(&quotas, &[("", "app", 500.0)]);
    assert_eq!(quotas.produced(who("u", "app"), 0, 0), 8_000);
    change(&quotas, &[]);
    assert_eq!(quotas.produced(who("u", "app"), 1 << 30, 0), 0);
}

#[test]
fn what_a_throttled_fetch_does_not_get_is_not_counted() {
    let quotas = quotas(&[("", "app", 1000.0)]);
    assert_eq!(quotas.largest_fetch(who("u", "app")), 10_000);
    assert_eq!(quotas.largest_fetch(who("u", "other")), usize::MAX);
    let verdict = |throttle_ms| FetchVerdict {
        throttle_ms,
        withheld: throttle_ms > 0,
    };
    assert_eq!(quotas.fetched(who("u", "app"), 8_000, 0), verdict(0));
    for _ in 0..3 {
        assert_eq!(quotas.fetched(who("u", "app"), 4_000, 0), verdict(2_000));
    }
    assert_eq!(quotas.fetched(who("u", "app"), 2_000, 0), verdict(0));
}

#[test]
fn a_batch_that_is_too_large_for_all_windows_goes_out_when_nothing_else_has() {
    let quotas = quotas(&[("", "app", 1000.0)]);
    assert_eq!(quotas.fetched(who("u", "app"), 1, 0).throttle_ms, 0);
    assert!(quotas.fetched(who("u", "app"), 50_000, 0).withheld);
    let late = quotas.fetched(who("u", "app"), 50_000, 11_000);
    assert!(!late.withheld);
    assert_eq!(late.throttle_ms, 40_000);
    assert!(quotas.fetched(who("u", "app"), 50_000, 11_000).withheld);
}

#[test]
fn nobody_waits_for_longer_than_a_window_for_time() {
    let quotas = quotas(&[("", "app", 10.0)]);
    assert!(quotas.limits_requests());
    // One second in ten is 10 percent.
    assert_eq!(quotas.worked(who("u", "app"), Duration::from_secs(1), 0), 0);
    assert_eq!(quotas.worked(who("u", "app"), Duration::from_millis(10), 0), 100);
    assert_eq!(quotas.worked(who("u", "app"), Duration::from_secs(3600), 0), 1000);
}

#[test]
fn clients_that_no_longer_count_are_forgotten() {
    let quotas = quotas(&[("", "*", 1000.0)]);
    for number in 0..100_000_u64 {
        quotas.produced(who("u", &number.to_string()), 1, number * 10);
    }
    assert!(quotas.produce.used.lock().by_name.len() <= 2 * SWEEP_FROM.max(1100));
}

#[test]
fn an_address_above_its_rate_waits_and_does_not_count() {
    let quotas = Quotas::new(WINDOWS, WINDOWS);
    let (one, two): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
    assert_eq!(quotas.connected(one, 0), 0);
    quotas.change(&QuotaImage {
        clients: Vec::new(),
        connections: vec![(None, 1.0), (Some(two), 0.1)],
    });
    for _ in 0..10 {
        assert_eq!(quotas.connected(one, 0), 0);
    }
    assert_eq!(quotas.connected(one, 0), 1000);
    assert_eq!(quotas.connected(one, 11_000), 0, "when the windows are over");
    assert_eq!(quotas.connected(two, 0), 0);
    assert_eq!(quotas.connected(two, 0), 1000);
}
