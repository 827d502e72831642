//! Alarms that every worker finds: one of them announces each.

use crate::{
    alarms::{Alarm, AlarmChanges, AlarmSubject},
    config::Topic,
    coordination::Membership,
};

/// What of these changes this worker is the first to announce.
pub(crate) async fn first_told(mut changes: AlarmChanges, membership: &Membership) -> AlarmChanges {
    let (mut raised, mut recovered, mut joined) = (Vec::new(), Vec::new(), Vec::new());
    for alarm in changes.raised {
        if !is_shared(&alarm) || membership.announces(&key(&alarm)).await {
            raised.push(alarm);
        }
    }
    for alarm in changes.joined {
        let is_own = !is_shared(&alarm.alarm);
        if is_own || announces_any(&alarm.alarm, membership).await {
            joined.push(alarm);
        }
    }
    for alarm in changes.recovered {
        if !is_shared(&alarm) || announces_end(&alarm, membership).await {
            recovered.push(alarm);
        }
    }
    for alarm in changes.absorbed.iter().filter(|alarm| is_shared(alarm)) {
        membership.announces_end(&key(alarm)).await;
    }
    (changes.raised, changes.recovered, changes.joined) = (raised, recovered, joined);
    changes
}

/// Whether this worker is the first to announce that any of these mirrors joined an alarm.
async fn announces_any(alarm: &Alarm, membership: &Membership) -> bool {
    let mut is_first = false;
    for mirror in &alarm.mirrors {
        is_first |= membership.announces(&joined_key(alarm, mirror)).await;
    }
    is_first
}

/// Whether this worker is the first to announce that an alarm is over, for all of its mirrors.
async fn announces_end(alarm: &Alarm, membership: &Membership) -> bool {
    for mirror in &alarm.mirrors {
        membership.announces_end(&joined_key(alarm, mirror)).await;
    }
    membership.announces_end(&key(alarm)).await
}

/// Whether every worker finds it: it is about what all of them share.
fn is_shared(alarm: &Alarm) -> bool {
    let is_subject = matches!(
        alarm.subject,
        AlarmSubject::Mirror(_) | AlarmSubject::Worker(_)
    );
    is_subject || alarm.topic == Topic::Unreachable
}

fn key(alarm: &Alarm) -> String {
    format!("{} {}", alarm.topic.as_str(), alarm.subject)
}

fn joined_key(alarm: &Alarm, mirror: &str) -> String {
    format!("{} {mirror}", key(alarm))
}
