//! Looks for secrets where they should not be, in every form in which they could have got there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// A key is looked for in pieces, so that a line break, or a copy that is only half there, hides
/// nothing. Divisible by three, and short enough to lie on one line of PEM.
const PIECE: usize = 15;

/// Where the secret numbers begin in PKCS#1 `RSAPrivateKey` (RFC 8017, appendix A.1.2): version,
/// modulus and public exponent are no secrets.
const FIRST_SECRET: usize = 3;

/// Things that must not be found.
#[derive(Debug)]
pub struct Secrets {
    forms: Vec<String>,
    search: AhoCorasick,
}

impl Secrets {
    /// RSA keys (PKCS#8 in DER) and words such as passwords, each with its name.
    pub fn new(keys: &[(&str, &[u8])], words: &[(&str, &str)]) -> Self {
        let mut patterns = Vec::new();
        for (name, pkcs8) in keys {
            let numbers = secret_numbers(pkcs8);
            for piece in numbers.iter().flat_map(|number| number.chunks_exact(PIECE)) {
                patterns.extend(forms(name, piece));
            }
        }
        for (name, word) in words {
            patterns.extend(forms(name, word.as_bytes()));
            // As PKCS#12 has it: BMPString.
            let wide: Vec<u8> = word.encode_utf16().flat_map(u16::to_be_bytes).collect();
            patterns.push((format!("{name}, UTF-16"), wide));
        }
        let search = AhoCorasick::new(patterns.iter().map(|(_, bytes)| bytes)).unwrap();
        Self { forms: patterns.into_iter().map(|(name, _)| name).collect(), search }
    }

    /// The first secret in these bytes, by its name and form.
    pub fn find(&self, bytes: &[u8]) -> Option<&str> {
        let found = self.search.find(bytes)?;
        Some(&self.forms[found.pattern().as_usize()])
    }

    /// All secrets in these bytes, by their names and forms.
    pub fn find_all(&self, bytes: &[u8]) -> BTreeSet<&str> {
        let found = self.search.find_overlapping_iter(bytes);
        found.map(|it| self.forms[it.pattern().as_usize()].as_str()).collect()
    }

    /// All files below a folder that hold a secret, with its name and form.
    pub fn below(&self, folder: &Path) -> Vec<(PathBuf, String)> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.unwrap().path();
            let kind = fs::symlink_metadata(&path).unwrap().file_type();
            if kind.is_dir() {
                found.extend(self.below(&path));
            } else if kind.is_file() {
                let bytes = fs::read(&path).unwrap();
                found.extend(self.find(&bytes).map(|form| (path, form.to_owned())));
            }
        }
        found.sort();
        found
    }
}

/// One piece in every form.
fn forms(name: &str, piece: &[u8]) -> Vec<(String, Vec<u8>)> {
    let hex = |byte: &u8| format!("{byte:02x}");
    let lower: Vec<String> = piece.iter().map(hex).collect();
    let decimal: Vec<String> = piece.iter().map(u8::to_string).collect();
    let mut forms = vec![
        ("as it is", piece.to_vec()),
        ("backwards", piece.iter().rev().copied().collect()),
        ("hex", lower.concat().into_bytes()),
        ("HEX", lower.concat().to_uppercase().into_bytes()),
        ("he:x", lower.join(":").into_bytes()),
        ("HE:X", lower.join(":").to_uppercase().into_bytes()),
        ("numbers", decimal.join(",").into_bytes()),
        ("numbers of Debug", decimal.join(", ").into_bytes()),
        ("escaped", piece.escape_ascii().to_string().into_bytes()),
    ];
    let urls = base64_anywhere(piece, |bytes| URL_SAFE_NO_PAD.encode(bytes));
    forms.extend(urls.into_iter().map(|text| ("base64 of URLs", text)));
    for text in base64_anywhere(piece, |bytes| STANDARD_NO_PAD.encode(bytes)) {
        let twice = base64_anywhere(&text, |bytes| STANDARD_NO_PAD.encode(bytes));
        forms.push(("base64", text));
        forms.extend(twice.into_iter().map(|text| ("base64 twice", text)));
    }
    forms.into_iter().map(|(form, bytes)| (format!("{name}, {form}"), bytes)).collect()
}

/// The characters that stand for these bytes alone, wherever in a longer text they begin.
fn base64_anywhere(bytes: &[u8], encode: impl Fn(&[u8]) -> String) -> Vec<Vec<u8>> {
    // Characters that the bytes before have a part in.
    let shared = [0, 2, 3];
    (0..3)
        .map(|before| {
            let shifted = [&vec![0; before][..], bytes].concat();
            // And the last one, unless it is whole.
            let whole = shifted.len() * 8 / 6;
            encode(&shifted).as_bytes()[shared[before]..whole].to_vec()
        })
        .collect()
}

/// The secret numbers of an RSA key in PKCS#8.
fn secret_numbers(pkcs8: &[u8]) -> Vec<&[u8]> {
    // PrivateKeyInfo: version, algorithm, OCTET STRING; in that, RSAPrivateKey.
    let pkcs1 = children(children(pkcs8)[0])[2];
    let numbers = children(children(pkcs1)[0]);
    numbers[FIRST_SECRET..].iter().map(|it| it.strip_prefix(&[0]).unwrap_or(it)).collect()
}

/// The contents of the DER values that follow each other here.
fn children(mut der: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let [_, first, rest @ ..] = der {
        let long = if *first < 0x80 { 0 } else { usize::from(first & 0x7f) };
        let length = match long {
            0 => usize::from(*first),
            _ => rest[..long].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
        };
        let (content, after) = rest[long..].split_at(length);
        found.push(content);
        der = after;
    }
    found
}

#[cfg(test)]
mod harness {
    use std::process::Command;

    use super::*;
    use crate::place::scratch;

    /// A key of OpenSSL's, in DER and what else OpenSSL says about it.
    fn make_key(folder: &Path) -> Vec<u8> {
        openssl(folder, &["genpkey", "-algorithm", "RSA", "-out", "key.pem"]);
        let from = ["pkcs8", "-topk8", "-nocrypt", "-in", "key.pem"];
        openssl(folder, &[&from[..], &["-outform", "DER", "-out", "key.der"]].concat());
        fs::read(folder.join("key.der")).unwrap()
    }

    fn openssl(folder: &Path, arguments: &[&str]) -> Vec<u8> {
        let mut command = Command::new("openssl");
        let done = command.args(arguments).current_dir(folder).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        done.stdout
    }

    /// A search that finds nothing proves nothing unless it would have found something.
    #[test]
    fn a_planted_secret_is_found_in_every_form_and_another_one_is_not() {
        let folder = scratch();
        let key = make_key(folder.path());
        let secrets = Secrets::new(&[("key", &key)], &[("password", "žluťoučký kůň")]);
        let from = ["-inform", "DER", "-in", "key.der"];
        let pem = openssl(folder.path(), &[&["pkey"][..], &from].concat());
        let plants = [
            key.clone(),
            pem.clone(),
            openssl(folder.path(), &[&["pkey", "-noout", "-text"][..], &from].concat()),
            openssl(folder.path(), &[&["rsa", "-traditional"][..], &from].concat()),
            openssl(
                folder.path(),
                &[&["rsa", "-traditional", "-outform", "DER"][..], &from].concat(),
            ),
            format!("{key:?}").into_bytes(),
            serde_json::to_vec(&key).unwrap(),
            key.escape_ascii().to_string().into_bytes(),
            STANDARD_NO_PAD.encode(&pem).into_bytes(),
            STANDARD_NO_PAD.encode([b"xx", &pem[..]].concat()).into_bytes(),
            URL_SAFE_NO_PAD.encode([b"x", &key[..]].concat()).into_bytes(),
            // Half of one prime.
            secret_numbers(&key)[1][..64].to_vec(),
            secret_numbers(&key)[2].iter().rev().copied().collect(),
            "user=me&password=žluťoučký kůň".into(),
            STANDARD_NO_PAD.encode("{\"p\":\"žluťoučký kůň\"}").into_bytes(),
        ];
        for (number, plant) in plants.iter().enumerate() {
            let deep = folder.path().join(format!("a/b/{number}"));
            fs::create_dir_all(&deep).unwrap();
            fs::write(deep.join("log"), [&[b' '; 1000], &plant[..]].concat()).unwrap();
            let found = secrets.below(&deep);
            assert_eq!(found.len(), 1, "plant {number} is found");
            println!("plant {number}: {}", found[0].1);
        }
        let other = make_key(folder.path());
        assert_eq!(secrets.find(&other), None);
        assert_eq!(secrets.find(format!("{other:?}").as_bytes()), None);
    }

    #[test]
    fn the_numbers_are_those_that_openssl_names() {
        let folder = scratch();
        let key = make_key(folder.path());
        let from = ["rsa", "-inform", "DER", "-in", "key.der", "-noout", "-text"];
        let text = String::from_utf8(openssl(folder.path(), &from)).unwrap();
        let digits: String = text.split_whitespace().collect::<String>().replace(':', "");
        for number in secret_numbers(&key) {
            let hex: String = number.iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(digits.contains(&hex), "{hex} in {text}");
        }
        assert_eq!(secret_numbers(&key).len(), 6, "d, p, q, dp, dq, qinv");
    }
}
