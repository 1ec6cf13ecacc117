//! What a person is told without having asked: pure, so that "once each" has a test.

use std::time::{Duration, Instant};

use crate::page::Page;
use crate::status::{StatusView, Word};
use crate::tray_menu::{capitalised, has_no_gateway};

/// A loss that heals within this time is nobody's business.
const LONG: Duration = Duration::from_secs(5 * 60);

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What happened.
    pub title: &'static str,
    /// What it means, and what to do.
    pub body: String,
    /// Where the window has more.
    pub page: Page,
}

/// What was told, and what is being waited for.
#[derive(Debug, Default)]
pub struct Notices {
    /// Asked for a certificate and not yet told how that went.
    waited: bool,
    rejected: bool,
    expiring: bool,
    /// Since when there has been no connection although one is wanted.
    lost_since: Option<Instant>,
    lost_told: bool,
}

impl Notices {
    /// What `view` gives reason to tell now.
    pub fn look(&mut self, view: &StatusView, now: Instant) -> Vec<Notice> {
        self.identity_notice(view).into_iter().chain(self.loss(view, now)).collect()
    }

    /// When to look again even if nothing changes.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.lost_since.filter(|_| !self.lost_told).map(|since| since + LONG)
    }

    fn identity_notice(&mut self, view: &StatusView) -> Option<Notice> {
        let identity = view.identity.as_ref()?;
        let is = |state: &str| identity.state == state;
        let was_waiting = self.waited;
        let was_rejected = std::mem::replace(&mut self.rejected, is("rejected"));
        let was_expiring = std::mem::replace(&mut self.expiring, identity.expiring);
        self.waited = is("waiting") || was_waiting && !is("enrolled") && !is("rejected");
        let until = identity.valid_until.as_deref().unwrap_or("an unknown day");
        let (title, body) = if is("enrolled") && was_waiting {
            ("SeaCat Proxy: this computer was approved", format!("It is registered until {until}."))
        } else if is("rejected") && !was_rejected {
            let body = "Contact the gateway's administrator, then request a certificate again.";
            ("SeaCat Proxy: this computer was rejected", body.to_owned())
        } else if identity.expiring && !was_expiring {
            let body = format!(
                "It ends on {until} and could not be renewed yet: tell the gateway's administrator."
            );
            ("The certificate is about to expire", body)
        } else {
            return None;
        };
        Some(Notice { title, body, page: Page::Identity })
    }

    fn loss(&mut self, view: &StatusView, now: Instant) -> Option<Notice> {
        // Without a gateway nothing was lost: setup asks for one.
        let is_calm = matches!(view.state, Word::Connected | Word::Off | Word::Draining);
        if is_calm || has_no_gateway(view) {
            self.lost_since = None;
            self.lost_told = false;
            return None;
        }
        let since = *self.lost_since.get_or_insert(now);
        // Where something must change first, there is nothing to wait for.
        let due = view.needs_attention() || now.saturating_duration_since(since) >= LONG;
        if !due || std::mem::replace(&mut self.lost_told, true) {
            return None;
        }
        let failure = view.failure.as_ref().or(view.last_failure.as_ref());
        let code = failure.map(|failure| failure.code.as_str());
        let title = match (view.state, code) {
            (Word::Waiting, Some("SC-CAPTIVE-PORTAL")) => "Sign in to this network",
            _ if view.needs_attention() => "SeaCat Proxy can't use the gateway",
            _ => "SeaCat Proxy has not been connected for 5 minutes",
        };
        let why = failure.map_or("the gateway does not answer", |failure| &failure.title);
        let body = format!("{}.", capitalised(why));
        Some(Notice { title, body, page: Page::Diagnostics })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity_view::IdentityView;
    use crate::status::FailureView;

    const APPROVED: &str = "SeaCat Proxy: this computer was approved";
    const REJECTED: &str = "SeaCat Proxy: this computer was rejected";

    fn state(state: Word) -> StatusView {
        StatusView { state, ..StatusView::default() }
    }

    fn identity(word: &str, expiring: bool) -> StatusView {
        let identity = IdentityView { state: word.to_owned(), expiring, ..Default::default() };
        StatusView { identity: Some(identity), ..state(Word::Connected) }
    }

    /// What is told while one view follows the other at once.
    fn told(views: &[StatusView]) -> Vec<&'static str> {
        let (mut notices, now) = (Notices::default(), Instant::now());
        views.iter().flat_map(|view| notices.look(view, now)).map(|it| it.title).collect()
    }

    #[test]
    fn an_approval_is_told_once_and_only_to_who_waited() {
        let steps = |words: &[&str]| {
            told(&words.iter().map(|word| identity(word, false)).collect::<Vec<_>>())
        };
        let wait = ["sent", "waiting", "waiting", "installing", "enrolled", "enrolled"];
        assert_eq!(steps(&wait), [APPROVED]);
        assert_eq!(steps(&["opening", "enrolled"]), [""; 0], "at the start");
        assert_eq!(steps(&["enrolled", "renewing", "enrolled"]), [""; 0], "a renewal");
        assert_eq!(steps(&["waiting", "rejected", "rejected"]), [REJECTED]);
        let again = ["waiting", "rejected", "sent", "waiting", "enrolled"];
        assert_eq!(steps(&again), [REJECTED, APPROVED]);
    }

    #[test]
    fn an_expiry_is_told_once_for_each_certificate() {
        let title = "The certificate is about to expire";
        let views = [("enrolled", false), ("renewing", true), ("renewing", true)];
        let views = views.map(|(word, expiring)| identity(word, expiring));
        assert_eq!(told(&views), [title]);
        let renewed = [identity("renewing", true), identity("enrolled", false)];
        assert_eq!(told(&[&renewed[..], &renewed[..]].concat()), [title, title]);
    }

    #[test]
    fn a_long_loss_is_told_once_and_a_short_one_never() {
        let mut notices = Notices::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (waiting, connecting) = (state(Word::Waiting), state(Word::Connecting));
        assert_eq!(notices.look(&connecting, at(0)), []);
        assert_eq!(notices.deadline(), Some(at(300)));
        assert_eq!(notices.look(&state(Word::Connected), at(10)), []);
        assert_eq!(notices.deadline(), None, "an idle connection wakes nobody");
        assert_eq!(notices.look(&waiting, at(100)), []);
        assert_eq!(notices.look(&connecting, at(399)), []);
        let told = notices.look(&waiting, at(400));
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].title, "SeaCat Proxy has not been connected for 5 minutes");
        assert_eq!(notices.deadline(), None);
        assert_eq!(notices.look(&waiting, at(4000)), []);
        assert_eq!(notices.look(&state(Word::Connected), at(4001)), []);
        assert_eq!(notices.look(&waiting, at(4002)), []);
        assert_eq!(notices.deadline(), Some(at(4302)), "the next loss counts anew");
    }

    #[test]
    fn what_does_not_heal_is_told_at_once_and_a_wish_to_be_off_is_no_loss() {
        let portal = FailureView { code: "SC-CAPTIVE-PORTAL".to_owned(), ..Default::default() };
        let portal = StatusView { failure: Some(portal), ..state(Word::Waiting) };
        assert_eq!(
            told(&[state(Word::Waiting), portal.clone(), portal]),
            ["Sign in to this network"]
        );
        let title = "SeaCat Proxy can't use the gateway";
        assert_eq!(told(&[state(Word::Connecting), state(Word::Stopped)]), [title]);
        assert_eq!(told(&[state(Word::Stopped), state(Word::Stopped)]), [title]);
        assert_eq!(told(&[state(Word::Off), state(Word::Draining)]), [""; 0]);
        let none = FailureView { code: "SC-NO-GATEWAY".to_owned(), ..FailureView::default() };
        let none = StatusView { failure: Some(none), ..state(Word::Stopped) };
        assert_eq!(told(&[none]), [""; 0], "without a gateway nothing was lost");
    }
}
