//! The icons of `icons/rendered`, as the panel wants them.

use std::io::Cursor;

use ksni::Icon;

use crate::config::schema::IconTint;
use crate::tray_menu::Mark;

/// One picture in the sizes panels ask for, in colour and in one colour.
struct Picture {
    colour: [&'static [u8]; SIZES],
    template: [&'static [u8]; SIZES],
}

const SIZES: usize = 5;

macro_rules! rendered {
    ($kind:literal, $name:literal) => {
        [
            rendered!($kind, $name, "16"),
            rendered!($kind, $name, "22"),
            rendered!($kind, $name, "24"),
            rendered!($kind, $name, "32"),
            rendered!($kind, $name, "48"),
        ]
    };
    ($kind:literal, $name:literal, $size:literal) => {
        include_bytes!(concat!(
            "../../../../icons/rendered/tray/",
            $kind,
            "/",
            $name,
            "-",
            $size,
            ".png"
        ))
    };
}

macro_rules! picture {
    ($name:literal) => {
        Picture { colour: rendered!("colour", $name), template: rendered!("template", $name) }
    };
}

static CONNECTED: [Picture; 1] = [picture!("connected")];
static OFF: [Picture; 1] = [picture!("off")];
static CONNECTING: [Picture; 3] =
    [picture!("connecting-1"), picture!("connecting-2"), picture!("connecting-3")];
static WAITING: [Picture; 1] = [picture!("waiting")];
static ATTENTION: [Picture; 1] = [picture!("attention")];

/// The icon for `mark` in every size; of one that moves, the picture number `frame`.
pub(super) fn icons(mark: Mark, frame: usize, tint: IconTint) -> Vec<Icon> {
    let pictures: &[Picture] = match mark {
        Mark::Connected => &CONNECTED,
        Mark::Off => &OFF,
        Mark::Connecting => &CONNECTING,
        Mark::Waiting => &WAITING,
        Mark::Attention => &ATTENTION,
    };
    let picture = &pictures[frame % pictures.len()];
    let files = match tint {
        IconTint::Colour => &picture.colour,
        IconTint::Light | IconTint::Dark => &picture.template,
    };
    files.iter().filter_map(|file| decode(file, tint)).collect()
}

/// PNG to ARGB in network byte order, as the StatusNotifierItem specification has it. The files are
/// our own, and a test decodes all of them.
fn decode(file: &[u8], tint: IconTint) -> Option<Icon> {
    let mut reader = png::Decoder::new(Cursor::new(file)).read_info().ok()?;
    let mut data = vec![0; reader.output_buffer_size()?];
    let info = reader.next_frame(&mut data).ok()?;
    if (info.color_type, info.bit_depth) != (png::ColorType::Rgba, png::BitDepth::Eight) {
        return None;
    }
    for pixel in data.chunks_exact_mut(4) {
        if tint == IconTint::Light {
            pixel[..3].fill(0xff);
        }
        pixel.rotate_right(1);
    }
    Some(Icon { width: info.width.try_into().ok()?, height: info.height.try_into().ok()?, data })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKS: [Mark; 5] =
        [Mark::Connected, Mark::Off, Mark::Connecting, Mark::Waiting, Mark::Attention];

    #[test]
    fn every_icon_comes_in_every_size_and_no_two_are_the_same() {
        let mut seen = Vec::new();
        for tint in [IconTint::Colour, IconTint::Light, IconTint::Dark] {
            for (mark, frames) in
                MARKS.map(|mark| (mark, if mark == Mark::Connecting { 3 } else { 1 }))
            {
                for frame in 0..frames {
                    let icons = icons(mark, frame, tint);
                    let sizes: Vec<i32> = icons.iter().map(|icon| icon.width).collect();
                    assert_eq!(sizes, [16, 22, 24, 32, 48], "{mark:?} {tint:?}");
                    let shown = |icon: &Icon| icon.data.chunks(4).filter(|p| p[0] > 0x80).count();
                    assert!(icons.iter().all(|icon| shown(icon) > 20), "{mark:?} {tint:?}");
                    assert!(!seen.contains(&icons[1].data), "{mark:?} {tint:?}");
                    seen.push(icons[1].data.clone());
                }
            }
        }
    }

    /// 3 : 1 is what WCAG 2 (1.4.11) asks of pictures that carry information.
    #[test]
    fn colours_can_be_told_from_a_white_and_from_a_dark_panel() {
        let channel = |c: u8| {
            let c = f64::from(c) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        let luminance =
            |r, g, b| 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b) + 0.05;
        let (white, dark) = (luminance(0xff, 0xff, 0xff), luminance(0x2b, 0x2b, 0x2b));
        for mark in MARKS {
            let icons = icons(mark, 0, IconTint::Colour);
            for pixel in icons[4].data.chunks(4).filter(|pixel| pixel[0] == 0xff) {
                let here = luminance(pixel[1], pixel[2], pixel[3]);
                assert!(white / here >= 3.0 && here / dark >= 3.0, "{mark:?} {pixel:x?}");
            }
        }
    }

    #[test]
    fn one_colour_is_one_colour() {
        for (tint, value) in [(IconTint::Light, 0xff), (IconTint::Dark, 0)] {
            for icon in MARKS.iter().flat_map(|mark| icons(*mark, 0, tint)) {
                let mut pixels = icon.data.chunks(4).filter(|pixel| pixel[0] > 0);
                assert!(pixels.all(|pixel| pixel[1..] == [value; 3]), "{tint:?}");
            }
        }
    }
}
