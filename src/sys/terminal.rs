//! Lines from the terminal on descriptor 0, seen or unseen while they are typed.

use std::io;

use rustix::stdio::stdin;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// The longest line, in bytes: a command may have many arguments.
const MAX: usize = 16 * 1024;
/// What the terminal makes of Ctrl-C, Ctrl-D, Ctrl-H and the rubout key when nobody else does.
const INTERRUPT: u8 = 3;
const END: u8 = 4;
const BACKSPACE: u8 = 8;
const DELETE: u8 = 127;

/// The next line, without its end; `None` when there is none any more, or Ctrl-C was typed where it does not end the process.
/// What is typed is not shown when it is `unseen`; the terminal is as before afterwards, whatever happens. `ask` says what
/// is wanted, once the terminal is ready for the answer: what is typed before would be shown, and understood otherwise.
///
/// # Errors
/// When the terminal cannot be read, or the line is too long or not UTF-8.
pub fn line(unseen: bool, ask: &dyn Fn()) -> io::Result<Option<Zeroizing<String>>> {
    if !unseen {
        ask();
        return read();
    }
    let before = tcgetattr(stdin())?;
    let mut hidden = before.clone();
    // Without signals too: one would end this process and leave the terminal as it is now.
    hidden.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
    tcsetattr(stdin(), OptionalActions::Now, &hidden)?;
    ask();
    let line = read();
    tcsetattr(stdin(), OptionalActions::Now, &before)?;
    line
}

/// Byte for byte, so that nothing of the next line is taken.
fn read() -> io::Result<Option<Zeroizing<String>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(MAX));
    loop {
        let mut byte = [0];
        match rustix::io::read(stdin(), &mut byte) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(e) => return Err(e.into()),
        }
        match byte[0] {
            b'\n' | b'\r' => break,
            INTERRUPT | END => return Ok(None),
            BACKSPACE | DELETE => drop(line.pop()),
            _ if line.len() >= MAX => return Err(io::ErrorKind::InvalidData.into()),
            other => line.push(other),
        }
    }
    let text = std::str::from_utf8(&line).map_err(|_| io::ErrorKind::InvalidData)?;
    Ok(Some(Zeroizing::new(text.to_owned())))
}
