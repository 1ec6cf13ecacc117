//! `enroll` and `identity`.

use std::fs;
use std::io::{self, BufRead as _, IsTerminal as _, Write};
use std::path::Path;

use seacat_channel::identity::{ImportError, Imported};
use zeroize::Zeroizing;

use super::args::IdentityAction;
use super::control::client;
use super::{CliError, Here, runtime};
use crate::control::{Answer, ClientError, Request, Secret, today};
use crate::exit::Exit;
use crate::identity_view::IdentityView;
use crate::status::elsewhere;

/// Larger files are not a key with its certificates; and the control socket has its own limit.
const LARGEST: u64 = 64 * 1024;

pub(super) fn enroll(
    here: &Here,
    common_name: Option<String>,
    wait: bool,
    out: &mut dyn Write,
) -> Result<Exit, CliError> {
    runtime()?.block_on(async {
        let request = Request::Enroll { common_name };
        expect_done(client(here).await?.ask(request).await?)?;
        let mut watching = client(here).await?;
        let mut answer = Some(watching.ask(Request::Watch).await?);
        let mut said = String::new();
        while let Some(next) = answer.take() {
            let view = expect_identity(next)?;
            if view.sentence != said {
                writeln!(out, "{}", view.sentence)?;
                out.flush()?;
                said.clone_from(&view.sentence);
            }
            match view.state.as_str() {
                "enrolled" => return Ok(Exit::Ok),
                "rejected" => return Ok(Exit::Failed),
                _ if !wait => return Ok(Exit::Ok),
                _ => answer = watching.next().await?,
            }
        }
        Ok(Exit::NotRunning)
    })
}

pub(super) fn identity(
    here: &Here,
    action: IdentityAction,
    out: &mut dyn Write,
) -> Result<Exit, CliError> {
    match action {
        IdentityAction::Show { json } => show(here, json, out),
        IdentityAction::Renew => wish(here, Request::Renew, "renewing", out),
        IdentityAction::Reset { yes } => {
            if !yes && !is_sure()? {
                writeln!(out, "nothing deleted")?;
                return Ok(Exit::Failed);
            }
            wish(here, Request::ResetIdentity, "key and certificate are deleted", out)
        }
        IdentityAction::Import { file, password_file } => {
            let file = read_small(&file)?;
            let password = password_for(file.bytes(), password_file.as_deref())?;
            let request = Request::ImportIdentity { file, password };
            wish(here, request, "key and certificate are imported", out)
        }
        IdentityAction::ExportCsr => export(here, Request::ExportRequest, out),
        IdentityAction::ExportCert => export(here, Request::ExportCertificate, out),
    }
}

fn ask(here: &Here, request: Request) -> Result<Answer, CliError> {
    Ok(runtime()?.block_on(async { client(here).await?.ask(request).await })?)
}

fn show(here: &Here, json: bool, out: &mut dyn Write) -> Result<Exit, CliError> {
    let answer = ask(here, Request::Status)?;
    let others = match &answer {
        Answer::Status { status } => status.other_identities.clone(),
        _ => Vec::new(),
    };
    let view = expect_identity(answer)?;
    if json {
        let text = serde_json::to_string_pretty(&view).map_err(io::Error::from)?;
        writeln!(out, "{text}")?;
    } else {
        write!(out, "{}", view.text())?;
        for other in &others {
            writeln!(out, "{:<12} {}", "elsewhere", elsewhere(other))?;
        }
    }
    Ok(Exit::Ok)
}

fn wish(here: &Here, request: Request, said: &str, out: &mut dyn Write) -> Result<Exit, CliError> {
    expect_done(ask(here, request)?)?;
    writeln!(out, "{said}")?;
    Ok(Exit::Ok)
}

fn export(here: &Here, request: Request, out: &mut dyn Write) -> Result<Exit, CliError> {
    match ask(here, request)? {
        Answer::Pem { text } => {
            write!(out, "{text}")?;
            Ok(Exit::Ok)
        }
        other => Err(CliError::Unexpected(Box::new(other))),
    }
}

fn expect_done(answer: Answer) -> Result<(), CliError> {
    match answer {
        Answer::Done => Ok(()),
        Answer::PasswordNeeded { wrong } => {
            let why = if wrong { ImportError::WrongPassword } else { ImportError::PasswordNeeded };
            Err(ClientError::Refused(why.to_string()).into())
        }
        other => Err(CliError::Unexpected(Box::new(other))),
    }
}

fn expect_identity(answer: Answer) -> Result<IdentityView, CliError> {
    match answer {
        Answer::Status { status } => status
            .identity
            .ok_or_else(|| CliError::Config("this proxy uses no identity".to_owned())),
        other => Err(CliError::Unexpected(Box::new(other))),
    }
}

/// Asks a person. Without one, nothing is deleted.
fn is_sure() -> Result<bool, CliError> {
    if !io::stdin().is_terminal() {
        return Err(CliError::Usage(
            "this deletes the key permanently; use --yes to confirm".to_owned(),
        ));
    }
    let mut stderr = io::stderr();
    write!(stderr, "Delete the key and the certificate permanently? Type yes: ")?;
    stderr.flush()?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim() == "yes")
}

fn read_small(path: &Path) -> Result<Secret, CliError> {
    let failed = |source| CliError::System { doing: "read the file", source };
    let length = fs::metadata(path).map_err(failed)?.len();
    if length > LARGEST {
        return Err(CliError::Usage(format!(
            "{} is too large to be a key with its certificate",
            path.display()
        )));
    }
    fs::read(path).map(Secret::new).map_err(failed)
}

/// The password of a file that needs one: from another file, or from a person.
fn password_for(file: &[u8], from: Option<&Path>) -> Result<Option<Secret>, CliError> {
    if let Some(path) = from {
        return read_password(path).map(Some);
    }
    if !matches!(Imported::read(file, None, today()), Err(ImportError::PasswordNeeded)) {
        return Ok(None);
    }
    if !io::stdin().is_terminal() {
        return Err(CliError::Usage(format!(
            "{}: say --password-file FILE, or - for standard input",
            ImportError::PasswordNeeded
        )));
    }
    let typed = rpassword::prompt_password("Password of the file: ");
    let password = typed.map_err(|source| CliError::System { doing: "ask for it", source })?;
    Ok(Some(Secret::new(password.into_bytes())))
}

/// The first line of a file, or of standard input.
fn read_password(path: &Path) -> Result<Secret, CliError> {
    let text = Zeroizing::new(if path == Path::new("-") {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line)?;
        line
    } else {
        String::from_utf8_lossy(read_small(path)?.bytes()).into_owned()
    });
    Ok(Secret::new(text.lines().next().unwrap_or_default().as_bytes().to_vec()))
}
