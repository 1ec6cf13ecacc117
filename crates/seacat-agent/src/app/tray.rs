//! The menu and the icon painted as a StatusNotifierItem. Nothing is decided here.

use std::sync::Arc;
use std::time::Instant;

use ksni::menu::{RadioGroup, RadioItem, StandardItem, SubMenu};
use ksni::{Category, Handle, Icon, MenuItem, OfflineReason, Status, ToolTip, TrayMethods as _};
use tokio::sync::mpsc;

use super::{Clicked, icon};
use crate::config::schema::IconTint;
use crate::status::StatusView;
use crate::tray_menu::{Click, Item, Mark, Menu};

/// The item on the session bus. It registers with whatever host there is, now or later.
pub(super) struct Tray(Handle<Painter>);

impl Tray {
    /// Puts the item on the bus; `None` where there is no bus.
    pub(super) async fn start(
        view: Arc<StatusView>,
        tint: IconTint,
        clicks: mpsc::Sender<Clicked>,
    ) -> Option<Self> {
        let seen = Instant::now();
        let menu = Menu::of(&view, seen.elapsed());
        let icons = icon::icons(menu.mark, 0, tint);
        let painter = Painter { view, seen, menu, icons, frame: 0, tint, clicks };
        match painter.assume_sni_available(true).spawn().await {
            Ok(handle) => Some(Self(handle)),
            Err(error) => {
                tracing::info!("no icon in the panel: {error}");
                None
            }
        }
    }

    /// Shows another status, or the next picture of the same; what the icon is now.
    pub(super) async fn show(&self, view: Arc<StatusView>, tint: IconTint) -> Option<Mark> {
        let update = |painter: &mut Painter| {
            painter.look_at(view, tint);
            painter.menu.mark
        };
        self.0.update(update).await
    }
}

/// What is on the bus at the moment.
struct Painter {
    view: Arc<StatusView>,
    /// When it came, so that a countdown can go on.
    seen: Instant,
    menu: Menu,
    icons: Vec<Icon>,
    /// Which picture of an icon that moves.
    frame: usize,
    tint: IconTint,
    clicks: mpsc::Sender<Clicked>,
}

impl Painter {
    fn look_at(&mut self, view: Arc<StatusView>, tint: IconTint) {
        if !Arc::ptr_eq(&self.view, &view) {
            self.view = view;
            self.seen = Instant::now();
        }
        let before = self.menu.mark;
        self.menu = Menu::of(&self.view, self.seen.elapsed());
        let repaint = std::mem::replace(&mut self.tint, tint) != tint;
        if repaint || before != self.menu.mark || before == Mark::Connecting {
            self.frame = if before == self.menu.mark { self.frame + 1 } else { 0 };
            self.icons = icon::icons(self.menu.mark, self.frame, self.tint);
        }
    }

    fn click(&self, click: Click) {
        let token = ksni::current_xdg_activation_token();
        if self.clicks.try_send(Clicked { click, token }).is_err() {
            tracing::warn!("a click was lost: the last ones are still being worked on");
        }
    }
}

impl ksni::Tray for Painter {
    fn id(&self) -> String {
        "seacat-proxy".to_owned()
    }

    fn title(&self) -> String {
        "SeaCat Proxy".to_owned()
    }

    fn category(&self) -> Category {
        Category::Communications
    }

    fn status(&self) -> Status {
        match self.menu.mark {
            Mark::Attention => Status::NeedsAttention,
            _ => Status::Active,
        }
    }

    fn icon_pixmap(&self) -> Vec<Icon> {
        self.icons.clone()
    }

    /// Only while it is shown: on its way to the bus each byte of it takes sixty.
    fn attention_icon_pixmap(&self) -> Vec<Icon> {
        match self.status() {
            Status::NeedsAttention => self.icons.clone(),
            _ => Vec::new(),
        }
    }

    fn tool_tip(&self) -> ToolTip {
        let description = self.menu.headline.clone();
        ToolTip { title: self.title(), description, ..ToolTip::default() }
    }

    fn menu(&self) -> Vec<MenuItem<Self>> {
        painted(&self.menu.items)
    }

    fn menu_about_to_show(&mut self) {
        self.menu = Menu::of(&self.view, self.seen.elapsed());
    }

    /// The left button.
    fn activate(&mut self, _x: i32, _y: i32) {
        self.click(Click::Open(crate::page::Page::Overview));
    }

    fn watcher_online(&self) {
        tracing::info!("the icon is in the panel");
    }

    /// Stays on the bus until somebody shows it.
    fn watcher_offline(&self, _: OfflineReason) -> bool {
        tracing::info!("nobody shows icons in a panel; the launcher opens the window");
        true
    }
}

fn painted(items: &[Item]) -> Vec<MenuItem<Painter>> {
    items.iter().map(paint).collect()
}

fn paint(item: &Item) -> MenuItem<Painter> {
    match item {
        Item::Fact(text) => {
            StandardItem { label: label(text), enabled: false, ..StandardItem::default() }.into()
        }
        Item::Action(text, click) => {
            let click = click.clone();
            let activate = Box::new(move |painter: &mut Painter| painter.click(click.clone()));
            StandardItem { label: label(text), activate, ..StandardItem::default() }.into()
        }
        Item::Choice(text, on, click) => {
            let click = click.clone();
            let option = RadioItem { label: label(text), ..RadioItem::default() };
            // A group of its own: the items stand one by one among facts and actions. Index 0 is
            // this one, and any other says that it is not chosen.
            RadioGroup {
                selected: if *on { 0 } else { usize::MAX },
                select: Box::new(move |painter: &mut Painter, _| painter.click(click.clone())),
                options: vec![option],
            }
            .into()
        }
        Item::Submenu(text, items) => {
            SubMenu { label: label(text), submenu: painted(items), ..SubMenu::default() }.into()
        }
        Item::Line => MenuItem::Separator,
    }
}

/// In a menu over D-Bus one underscore marks a key; two are one to be read.
fn label(text: &str) -> String {
    text.replace('_', "__")
}
