//! A tray icon as its host sees it: icon, tool tip and menu over D-Bus.

use std::collections::HashMap;
use std::time::Duration;

use zbus::blocking::{Connection, Proxy as Object};
use zbus::zvariant::{OwnedObjectPath, OwnedValue, Structure, Value};

use crate::desktop::Desktop;
use crate::process::wait_for;

const ITEM: &str = "org.kde.StatusNotifierItem";
const MENU: &str = "com.canonical.dbusmenu";

/// A status takes a round trip or two; a busy machine gets more.
const PATIENCE: Duration = Duration::from_secs(40);

/// An entry of the menu on the wire: number, properties, what is below it.
type Entry = (i32, HashMap<String, OwnedValue>, Vec<OwnedValue>);

/// The icon of one process.
#[derive(Debug)]
pub struct TrayIcon {
    bus: Connection,
    owner: String,
}

/// A line of the menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    id: i32,
    /// How many sub-menus it is in.
    pub depth: usize,
    /// What is to be read; nothing on a line between groups.
    pub label: String,
    /// Whether it can be clicked.
    pub enabled: bool,
}

impl TrayIcon {
    /// Waits until the panel of `desktop` has the icon of the process `id`.
    pub fn wait_for(desktop: &Desktop, id: u32) -> Self {
        let owner = format!("{ITEM}-{id}-1");
        wait_for("the icon in the panel", PATIENCE, || {
            desktop.icons().iter().any(|icon| icon.contains(&owner)).then_some(())
        });
        Self { bus: desktop.connect(), owner }
    }

    fn object(&self, path: String, interface: &'static str) -> Object<'static> {
        Object::new_owned(self.bus.clone(), self.owner.clone(), path, interface).unwrap()
    }

    fn item(&self) -> Object<'static> {
        self.object("/StatusNotifierItem".to_owned(), ITEM)
    }

    fn menu_object(&self) -> Object<'static> {
        let path: OwnedObjectPath = self.item().get_property("Menu").unwrap();
        self.object(path.as_str().to_owned(), MENU)
    }

    /// "Active" or "NeedsAttention".
    pub fn status(&self) -> String {
        self.item().get_property("Status").unwrap()
    }

    /// The icon in its smallest size: width, height, ARGB.
    pub fn picture(&self) -> (i32, i32, Vec<u8>) {
        let all: Vec<(i32, i32, Vec<u8>)> = self.item().get_property("IconPixmap").unwrap();
        all.into_iter().min_by_key(|picture| picture.0).expect("a picture")
    }

    /// The menu as it is when it is opened now.
    pub fn menu(&self) -> Vec<Line> {
        let menu = self.menu_object();
        let _: bool = menu.call("AboutToShow", &(0,)).unwrap();
        let none: [&str; 0] = [];
        let (_, root): (u32, Entry) = menu.call("GetLayout", &(0, -1, &none[..])).unwrap();
        let mut lines = Vec::new();
        for child in &root.2 {
            read(child, 0, &mut lines);
        }
        lines
    }

    /// The menu as text, sub-menus indented.
    pub fn text(&self) -> String {
        let line = |line: Line| format!("{}{}\n", "    ".repeat(line.depth), line.label);
        self.menu().into_iter().map(line).collect()
    }

    /// Waits until a line of the menu begins like this; the line.
    pub fn wait_for_line(&self, start: &str) -> String {
        wait_for(&format!("{start:?} in the menu"), PATIENCE, || {
            let found = self.menu().into_iter().find(|line| line.label.starts_with(start));
            if found.is_none() {
                std::thread::sleep(Duration::from_millis(50));
            }
            found.map(|line| line.label)
        })
    }

    /// Clicks the line that begins like this.
    pub fn click(&self, start: &str) {
        let lines = self.menu();
        let line = lines.iter().find(|line| line.label.starts_with(start));
        let line = line.unwrap_or_else(|| panic!("no {start:?} in {lines:#?}"));
        assert!(line.enabled, "{line:?} cannot be clicked");
        let event = (line.id, "clicked", Value::from(0i32), 0u32);
        let () = self.menu_object().call("Event", &event).unwrap();
    }

    /// The left button on the icon.
    pub fn activate(&self) {
        let () = self.item().call("Activate", &(0, 0)).unwrap();
    }
}

/// One entry and what is below it: (id, properties, children).
fn read(value: &Value<'_>, depth: usize, lines: &mut Vec<Line>) {
    let value = match value {
        Value::Value(inner) => inner,
        other => other,
    };
    let entry: &Structure<'_> = value.downcast_ref().expect("an entry is a structure");
    let [Value::I32(id), Value::Dict(properties), Value::Array(children)] = entry.fields() else {
        panic!("not an entry: {entry:?}");
    };
    let text: Option<String> = properties.get(&"label").unwrap();
    let enabled: Option<bool> = properties.get(&"enabled").unwrap();
    let label = text.unwrap_or_default().replace("__", "_");
    lines.push(Line { id: *id, depth, label, enabled: enabled.unwrap_or(true) });
    for child in children.iter() {
        read(child, depth + 1, lines);
    }
}
